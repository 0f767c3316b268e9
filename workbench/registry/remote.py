"""The control plane of a team, spoken to over HTTP. Used by the command line, session and flows where a server is configured."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from workbench import errors
from workbench.errors import BadInput, ComponentMissing, NotFound, WorkbenchError
from workbench.governance.access import Principal, Role, Target, permission_of, require
from workbench.records import KINDS, Acceptance, Approval, BentoBuild, ModelVersion, Record, Release, Stage, Waiver
from workbench.registry.control_plane import Papers, Standing
from workbench.store import Control
from workbench.store.chain import Entry
from workbench.store.objects import digest_of

__all__ = ["RemoteControlPlane", "Sender"]

Kind = TypeVar("Kind")

SECONDS = 30.0
UPLOAD_SECONDS = 600.0
PIECE = 1 << 20


class Sender:
    """One connection to a server: sends the token with each request, and raises what the server answers as our own errors."""

    def __init__(self, url: str, token: str | None = None, *, verify: str | bool = True) -> None:
        """`verify` is False for no check at all, or names the file of a certificate to trust.

        Raises:
            BadInput: the address is none, or would send the token unencrypted to another machine.
        """
        self.url = _checked(url)
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        import ssl

        context = ssl.create_default_context(cafile=verify) if isinstance(verify, str) else verify
        # what the environment says of proxies and .netrc is for other programs: a token goes to its server and nowhere else
        self._client = httpx.Client(
            base_url=self.url, headers=headers, timeout=SECONDS, verify=context, trust_env=False, follow_redirects=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def ask(self, verb: str, path: str, body: object = None) -> Any:
        """Sends JSON and returns the JSON of the answer.

        Raises:
            ComponentMissing: the server cannot be reached.
            WorkbenchError: what the server refused, as the class that it names.
        """
        return self._sent(verb, path, **({} if body is None else {"json": body}))

    def upload(self, path: str, file: Path) -> None:
        """Sends a file's bytes, piece by piece; raises as `ask`."""
        self._sent(
            "PUT",
            path,
            content=_pieces(file),
            headers={"content-type": "application/octet-stream", "content-length": str(file.stat().st_size)},
            timeout=UPLOAD_SECONDS,
        )

    def _sent(self, verb: str, path: str, **options: Any) -> Any:
        try:
            answer = self._client.request(verb, path, **options)
        except httpx.TimeoutException as error:
            raise ComponentMissing(
                f"{self.url} did not answer in time", hint="Whether it was done is unknown: look first, then try again."
            ) from error
        except httpx.HTTPError as error:
            raise ComponentMissing(
                f"{self.url} cannot be reached: {error}", hint="Check WORKBENCH_SERVER and that the server runs."
            ) from error
        if answer.is_success:
            return answer.json()
        raise _error(answer)


def _checked(url: str) -> str:
    """The address without a slash at its end, if a token may be sent there."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadInput(f"{url!r} is no address of a server", hint="Write it as https://HOST:PORT") from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise BadInput(f"{url!r} is no address of a server", hint="Write it as https://HOST:PORT, without a name or a token.")
    if parts.scheme == "http" and not _is_loopback(host):
        raise BadInput(
            f"{url} is not encrypted, so everybody on the way could read the token",
            hint="Use https://, or http:// on this machine only.",
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(PIECE):
            yield piece


def _error(answer: httpx.Response) -> WorkbenchError:
    """The server's refusal as the exception that it was there."""
    try:
        told = answer.json()
        name, message = str(told["error"]), str(told["message"])
        hint, problems = str(told["hint"]), [str(problem) for problem in told["problems"]]
    except (ValueError, KeyError, TypeError):
        return ComponentMissing(
            f"what answers at {answer.request.url.host} is no workbench server (status {answer.status_code})",
            hint="Check WORKBENCH_SERVER.",
        )
    kind = getattr(errors, name, None) if name in errors.__all__ else None
    if not (isinstance(kind, type) and issubclass(kind, WorkbenchError)):
        kind = BadInput if answer.is_client_error else WorkbenchError
    return kind(message, hint=hint, problems=problems)


class RemoteControlPlane:
    """The control plane of one project on a server. Its records and bytes stay in the project; `register` sends copies.

    Args:
        url: the server.
        token: who acts.
        project: the project's name.
        control: the project's own control database, from which a model's records are taken.
        files: the files of a packaged bento, by their names in it.
        verify: as for `Sender`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        project: str,
        control: Control,
        files: Callable[[BentoBuild], Mapping[str, Path]],
        verify: str | bool = True,
    ) -> None:
        self._sender = Sender(url, token, verify=verify)
        self._project = project
        self._path = f"/v1/projects/{quote(project, safe='')}"
        self._control = control
        self._files = files

    def close(self) -> None:
        """Closes the connection."""
        self._sender.close()

    def whoami(self) -> Principal:
        """Who acts here, as the server knows the token."""
        return self._as(Principal, "GET", "/v1/whoami")

    def standings(self) -> Sequence[Standing]:
        """Every registered model, oldest first."""
        return msgspec.convert(self._sender.ask("GET", f"{self._path}/models"), type=list[Standing])

    def standing(self, model: str) -> Standing:
        """One registered model."""
        return self._as(Standing, "GET", self._model(model))

    def papers(self, model: str) -> Papers:
        """All that is on file about a registered model, to write its evidence from."""
        told = self._sender.ask("GET", f"{self._model(model)}/papers")
        records = tuple(msgspec.convert(record, type=KINDS[record.pop("kind")]) for record in told.pop("records"))
        return Papers(
            records=records,
            entries=msgspec.convert(told["entries"], type=tuple[Entry, ...]),
            head=msgspec.convert(told["head"], type=Entry | None),
            people=msgspec.convert(told["people"], type=dict[str, str]),
        )

    def register(self, model: str) -> Standing:
        """Sends what the server lacks of a packaged model, and enters it there as a candidate.

        Raises:
            NotAllowed: this person may not register models, told before anything is read or sent; the server asks again.
            NotFound: the model is unknown here, or not packaged.
        """
        require(self.whoami(), permission_of("model:create"), Target(project=self._project))
        chain = self._chain(model)
        build = chain[-1]
        assert isinstance(build, BentoBuild)  # noqa: S101 - the chain ends in one
        files = self._files(build)
        digests = {name: digest_of(path) for name, path in files.items()}
        paths = {digests[name]: path for name, path in files.items()}
        for digest in self._sender.ask("POST", f"{self._path}/objects", {"digests": sorted(paths)})["missing"]:
            self._sender.upload(f"{self._path}/objects/{digest}", paths[digest])
        records = [{"kind": record.kind, **msgspec.to_builtins(record)} for record in chain]
        body = {"model": model, "records": records, "files": digests}
        return self._as(Standing, "POST", f"{self._path}/models", body)

    def _chain(self, model: str) -> list[Record]:
        """A model's records from the dataset version to the bento, without what was accepted here: the server decides anew."""
        version = self._control.get(model)
        if not isinstance(version, ModelVersion):
            raise NotFound(f"{model} is a {version.kind}, not a model version", hint="List them: workbench models")
        accepted = [record.id for record in self._control.all(kind="acceptance", parent=model)]
        builds = [build for parent in (model, *accepted) for build in self._control.all(kind="bento", parent=parent)]
        if not builds or not isinstance(builds[-1], BentoBuild):
            raise NotFound(f"{model} is not packaged", hint=f"Package it: workbench package {model}")
        chain: list[Record] = [version]
        while chain[0].parent is not None:
            chain.insert(0, self._control.get(chain[0].parent))
        return [*chain, replace(builds[-1], parent=model)]

    def review(self, model: str, *, reason: str) -> Acceptance:
        """A reviewer accepts a model whose fairness review was INCONCLUSIVE."""
        return self._as(Acceptance, "POST", f"{self._model(model)}/review", {"reason": reason})

    def approve(self, model: str, *, bundle: str, comment: str = "", role: Role = "approver") -> Approval:
        """Approves exactly the bundle with this digest under the policy that holds on the server now."""
        body = {"bundle": bundle, "comment": comment, "role": role}
        return self._as(Approval, "POST", f"{self._model(model)}/approve", body)

    def reject(self, model: str, *, bundle: str, comment: str, role: Role = "approver") -> Approval:
        """Rejects it: no approval of others lets it pass while the rejection stands."""
        body = {"bundle": bundle, "comment": comment, "role": role}
        return self._as(Approval, "POST", f"{self._model(model)}/reject", body)

    def waive(self, model: str, *, gate: str, bundle: str, reason: str, days: int) -> Waiver:
        """Lets one gate pass for this bundle for some days."""
        body = {"gate": gate, "bundle": bundle, "reason": reason, "days": days}
        return self._as(Waiver, "POST", f"{self._model(model)}/waive", body)

    def promote(self, model: str, *, to: Stage, bundle: str | None = None) -> Release:
        """Moves a model on to a stage, if every gate of that stage passes."""
        return self._as(Release, "POST", f"{self._model(model)}/promote", {"to": to, "bundle": bundle})

    def roll_back(self, service: str) -> Release:
        """Brings the model back that was live before."""
        return self._as(Release, "POST", f"{self._path}/services/{quote(service, safe='')}/rollback")

    def erase(self, person: str) -> str:
        """Forgets who stands behind a pseudonym, in every project of the server; returns the pseudonym."""
        return str(self._sender.ask("POST", f"/v1/people/{quote(person, safe='')}/erase")["pseudonym"])

    def _model(self, model: str) -> str:
        return f"{self._path}/models/{quote(model, safe='')}"

    def _as(self, kind: type[Kind], verb: str, path: str, body: object = None) -> Kind:
        return msgspec.convert(self._sender.ask(verb, path, body), type=kind)
