"""Runs a notebook's cells in a warm kernel: nbclient's handling of messages, over a wire instead of ZeroMQ. Used by `engine`."""

from __future__ import annotations

import inspect
import os
import signal
import time
import types
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_client.session import Session
from jupyter_core.utils import run_sync
from nbclient.exceptions import CellExecutionComplete, CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_output

from workbench.execution.interrupts import Interrupts
from workbench.execution.received import FIELDS, OutputLimits, cause_of_end, merge_streams, message_in, note_end, output_in
from workbench.execution.resuming import Continuation, Plan
from workbench.execution.scrubbing_client import ScrubbingClient
from workbench.execution.step import STEP_VARIABLE
from workbench.execution.warm.asking import Process
from workbench.execution.warm.wire import ANSWER, MESSAGE, MESSAGE_PARTS, ORDER, Frame, Wire

if TYPE_CHECKING:
    from nbformat import NotebookNode

__all__ = ["WarmClient"]

INTERRUPT_SECONDS = 2.0
"""How long an interrupted cell may take to say what it has to say, before its kernel is killed."""

QUIET_SECONDS = 0.2
"""After a cell has sent nothing for so long, what is known of it is saved; then after twice as long, and so on."""

QUIT_SECONDS = 5.0
TOO_LARGE = "OutputTooLarge"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class WarmClient(ScrubbingClient):
    """papermill's notebook client over a kernel that was forked for it.

    Messages, widgets, display updates and hooks are handled by nbclient's own code: how a message travels differs, and how an
    output is checked.
    """

    nb: NotebookNode
    kc: Any
    kernel: Process
    wire: Wire
    limits: OutputLimits
    language_info: dict[str, Any]
    plan: Plan | None = None
    interrupts: Interrupts

    def begin(self, kernel: Process, wire: Wire, limits: OutputLimits, seconds: float | None) -> None:
        """Takes a kernel over and waits until it is ready.

        Raises:
            DeadKernelError: it died while it got ready, or did not get ready in time.
        """
        self.kernel, self.wire, self.limits, self.interrupts = kernel, wire, limits, Interrupts()
        session = Session(key=b"not sent", username="workbench")
        # what nbclient's OutputWidget needs to answer a widget in the kernel
        self.kc = types.SimpleNamespace(session=session, shell_channel=types.SimpleNamespace(send=self._send_message))
        frame = self._next(None if seconds is None else time.monotonic() + seconds)
        if frame is None:
            raise DeadKernelError(f"the kernel was not ready after {seconds} s")
        self.language_info = frame.content()["language_info"]

    def keep(self, continuation: Continuation, plan: Plan) -> Plan:
        """Has the kernel keep what a later run can continue from, and continues an earlier run; returns what it keeps to."""
        wanted = {
            "notebook": str(self.nb.metadata.papermill.get("input_path")),
            "step": os.environ.get(STEP_VARIABLE, ""),
            "keep_seconds": continuation.keep_seconds,
            "snapshots": continuation.snapshots,
            "key": str(continuation.key),
            "restore": plan.snapshot,
        }
        self.plan = plan
        self.wire.send(ORDER, {"continuity": wanted})
        frame = self._next(None)
        assert frame is not None  # noqa: S101 - without a deadline, a frame or an exception
        refused: str | None = frame.content()["continuity"].get("refused")
        if refused is not None:
            self.plan = Plan(plan.before, plan.after, plan.previous, reasons=[*plan.reasons, refused])
        return self.plan

    @property
    def first(self) -> int:
        """The position of the first cell to run: those before it are restored."""
        return self.plan.restored[-1] + 1 if self.plan is not None and self.plan.restored else 0

    def execute(self) -> NotebookNode:
        """Runs all cells and ends the kernel."""
        self.reset_execution_trackers()
        how = None
        try:
            self._hook(self.on_notebook_start, notebook=self.nb)
            self.papermill_execute_cells()
            self.nb.metadata["language_info"] = self.language_info
            self.set_widgets_metadata()
            how = "failed" if self.nb.metadata.papermill.get("exception") else "well"
        except RuntimeError:
            self._hook(self.on_notebook_error, notebook=self.nb)
            raise
        finally:
            self.end(how)
            self._hook(self.on_notebook_complete, notebook=self.nb)
        return self.nb

    def execute_cell(
        self, cell: NotebookNode, cell_index: int, execution_count: int | None = None, store_history: bool = True
    ) -> NotebookNode:
        """Runs one cell, as nbclient's `async_execute_cell` does."""
        self._hook(self.on_cell_start, cell=cell, cell_index=cell_index)
        if cell.cell_type != "code" or not cell.source.strip() or self.skip_cells_with_tag in cell.metadata.get("tags", []):
            return cell
        if self.record_timing:
            cell["metadata"]["execution"] = {}
        self._hook(self.on_cell_execute, cell=cell, cell_index=cell_index)
        allowed = not self.force_raise_errors and (self.allow_errors or "raises-exception" in cell.metadata.get("tags", []))
        content = {
            "code": cell.source,
            "silent": False,
            "store_history": store_history,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": not allowed,
        }
        self.code_cells_executed += 1
        identity = f"{os.getpid()}_{self.code_cells_executed}"
        links = {} if self.plan is None else {"link": self.plan.before[cell_index], "next": self.plan.after[cell_index]}
        with self.interrupts.held():
            with suppress(OSError):  # a kernel that has died since its last cell is noticed by what it does not send
                self.wire.send(ORDER, {"execute": content, "id": identity, **links})
            self._hook(self.on_cell_complete, cell=cell, cell_index=cell_index)
            cell.outputs = []
            self.clear_before_next_output = False
            self.limits.begin_cell()
            try:
                reply = self._follow(identity, cell, cell_index)
            except (KeyboardInterrupt, SystemExit):
                self._drain(identity, cell, cell_index, keep=True)
                raise
            finally:
                merge_streams(cell)
                self.log_rest()
        if self.record_timing and "date" in reply:
            cell["metadata"]["execution"]["shell.execute_reply"] = reply["date"]
        if execution_count:
            cell["execution_count"] = execution_count
        self._hook(self.on_cell_executed, cell=cell, cell_index=cell_index, execute_reply=reply)
        self._raise_for_error(cell, cell_index, reply)
        self.nb["cells"][cell_index] = cell
        return cell

    def end(self, how: str | None) -> None:
        """Ends the kernel: after a run that ended `well` or `failed` in a cell it runs its exit hooks, else it is killed.

        Its exit hooks run while the notebook is completed; `nb_man` waits for them after that.
        """
        if how is None:
            self._close()
            return
        with suppress(OSError):
            self.wire.send(ORDER, {"quit": how})
        self.nb_man.wait_for_kernel = self._wait_for_end

    def _wait_for_end(self) -> None:
        """A failed kernel may say that it stays for a person to attach to; then it is let go."""
        stays = False
        with suppress(OSError, EOFError):
            deadline = time.monotonic() + QUIT_SECONDS
            while (frame := self.wire.receive(deadline)) is not None:
                answer = frame.content() if frame.kind == ANSWER else {}
                if "ended" in answer or "stays" in answer:
                    stays = "stays" in answer
                    break
        self._close(stays=stays)

    def _close(self, *, stays: bool = False) -> None:
        self.wire.close()
        if stays:
            self.kernel.release()
        else:
            self.kernel.close()
        self.kc = None

    def interrupt(self) -> None:
        """Interrupts the running cell, as Ctrl-C does in a terminal."""
        with suppress(ProcessLookupError):
            os.kill(self.kernel.pid, signal.SIGINT)

    def _follow(self, identity: str, cell: NotebookNode, cell_index: int) -> dict[str, Any]:
        """Handles what the kernel sends until the cell is done; returns the reply."""
        timeout = self._get_timeout(cell)
        deadline = None if timeout is None else time.monotonic() + timeout
        reply: dict[str, Any] = {}
        while True:
            frame = self._next_of_cell(deadline)
            if frame is None:
                assert timeout is not None  # noqa: S101 - without a time-out there is no deadline
                given_up = self._time_out(timeout, cell, identity, cell_index)
                if given_up is not None:
                    return given_up
                deadline = None
                continue
            if frame.kind == ANSWER:
                if note_end(frame, identity, cell):
                    return reply
                continue
            message = message_in(frame)
            if message["msg_type"] == "execute_reply":
                reply = {"content": message["content"], "date": message["header"]["date"].strftime(TIME_FORMAT)}
            elif message["parent_header"].get("msg_id") == identity:
                self._process(message, cell, cell_index)
            exceeded = self.limits.exceeded(frame)
            if exceeded:
                self._drain(identity, cell, cell_index, keep=False)
                said = f"{TOO_LARGE}: {exceeded}"
                cell.outputs.append(new_output("error", ename=TOO_LARGE, evalue=exceeded, traceback=[said]))
                raise CellExecutionError(said, TOO_LARGE, exceeded)

    def _process(self, message: dict[str, Any], cell: NotebookNode, cell_index: int) -> None:
        with suppress(CellExecutionComplete):
            self.process_message(message, cell, cell_index)

    def _time_out(self, timeout: float, cell: NotebookNode, identity: str, cell_index: int) -> dict[str, Any] | None:
        """What nbclient does on a time-out, but the cell is interrupted first, so that its traceback is kept."""
        self.log.error("Timeout waiting for execute reply (%is).", timeout)
        if self.interrupt_on_timeout:
            self.log.error("Interrupting kernel")
            self.interrupt()
            if self.error_on_timeout:
                self._drain(identity, cell, cell_index, keep=True)
                return {"content": {**self.error_on_timeout, "status": "error"}}
            return None
        self._drain(identity, cell, cell_index, keep=True)
        raise CellTimeoutError.error_from_timeout_and_cell("Cell execution timed out", int(timeout), cell)

    def _drain(self, identity: str, cell: NotebookNode, cell_index: int, *, keep: bool) -> None:
        """Interrupts the cell and takes what it still sends, for a short while."""
        self.interrupt()
        deadline = time.monotonic() + INTERRUPT_SECONDS
        with suppress(EOFError):
            while (frame := self._receive(deadline)) is not None:
                if frame.kind == ANSWER and note_end(frame, identity, cell):
                    return
                if keep and frame.kind == MESSAGE:
                    message = message_in(frame)
                    if message["parent_header"].get("msg_id") == identity and message["msg_type"] != "execute_reply":
                        self._process(message, cell, cell_index)

    def _next_of_cell(self, deadline: float | None) -> Frame | None:
        quiet = QUIET_SECONDS
        while deadline is None or time.monotonic() + quiet < deadline:
            frame = self._next(time.monotonic() + quiet)
            if frame is not None:
                return frame
            self.nb_man.autosave_cell()
            quiet *= 2
        return self._next(deadline)

    def _next(self, deadline: float | None) -> Frame | None:
        try:
            return self._receive(deadline)
        except EOFError:
            self.log.error("Kernel died while waiting for execute reply.")
            code = self.kernel.wait(1.0)
            raise DeadKernelError(f"Kernel died{cause_of_end(code)}") from None

    def _receive(self, deadline: float | None) -> Frame | None:
        # a process that the notebook forked may hold the kernel's wire open, so its end is looked for on both
        return self.wire.receive(deadline, unless=self.kernel.control, wait=self.interrupts.wait)

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        """Nbclient's handling of an output, which is only made differently; one that a widget takes over is left to nbclient."""
        if msg["msg_type"] not in FIELDS or self.output_hook_stack[msg["parent_header"].get("msg_id")]:
            taken: NotebookNode | None = super().output(outs, msg, display_id, cell_index)
            return taken
        output = output_in(msg)
        if self.clear_before_next_output:
            outs[:] = []
            self.clear_display_id_mapping(cell_index)
            self.clear_before_next_output = False
        if display_id:
            self._display_id_map.setdefault(display_id, {}).setdefault(cell_index, []).append(len(outs))
        outs.append(output)
        return output

    def _send_message(self, message: dict[str, Any]) -> None:
        session = self.kc.session
        named = {name: message[name] for name in MESSAGE_PARTS}
        self.wire.send_raw(MESSAGE, session.pack(named), message.get("buffers") or ())

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        super()._update_display_id(display_id, msg)
        for index in self._display_id_map.get(display_id, {}):
            self.nb_man.changed(index)

    def _raise_for_error(self, cell: NotebookNode, cell_index: int, reply: dict[str, Any]) -> None:
        content = self.nb_man.scrubber.content(reply.get("content", {}))
        if content.get("status") != "error":
            return
        allowed = not self.force_raise_errors and (
            self.allow_errors
            or content.get("ename") in self.allow_error_names
            or "raises-exception" in cell.metadata.get("tags", [])
        )
        self._hook(self.on_cell_error, cell=cell, cell_index=cell_index, execute_reply=reply)
        if not allowed:
            raise CellExecutionError.from_cell_and_msg(cell, content)

    def _hook(self, hook: Callable[..., Any] | None, **arguments: object) -> None:
        """Calls a hook of nbclient's; one that is a coroutine function runs to its end."""
        if hook is None:
            return
        outcome = hook(**arguments)
        if inspect.isawaitable(outcome):

            async def wait() -> None:
                await outcome

            run_sync(wait)()
