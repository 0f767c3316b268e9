"""Evidence: what a reviewer or an auditor needs to see about one model, as pages that open offline, in a signed manifest.

Every number comes from records. What is absent is said. Evidence is what people certify with; it certifies nothing itself.
"""

from workbench.registry.evidence.dossier import Attachments, Dossier, LineageLine, collect, decided
from workbench.registry.evidence.folder import Written, evidence_files, write_files
from workbench.registry.evidence.manifest import Verified, verify_evidence

__all__ = [
    "Attachments",
    "Dossier",
    "LineageLine",
    "Verified",
    "Written",
    "collect",
    "decided",
    "evidence_files",
    "verify_evidence",
    "write_files",
]
