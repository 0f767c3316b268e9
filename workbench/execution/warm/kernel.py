"""The IPython kernel without sockets of its own: ipykernel's kernel and shell, whose messages go over a wire. Used by `cells`.

Everything a notebook can see is stock: the shell, its magics, display hooks, comms, startup files and extensions of the user's
IPython profile. Only the transport differs: requests are dispatched one at a time as ipykernel's `dispatch_shell` does, and
answers leave through `WireSession.send`. Written for ipykernel 7.4.
"""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import inspect
import os
import sys
import threading
import types
import uuid
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.application import BaseIPythonApplication
from jupyter_client.session import Session
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait

from workbench.execution.warm.streams import Capture
from workbench.execution.warm.wire import MESSAGE, MESSAGE_PARTS, Wire, pair

__all__ = ["INLINE", "WarmKernel", "build_kernel", "introduce", "request"]

INLINE = "module://matplotlib_inline.backend_inline"


ABANDONED: list[object] = []
"""Event loops of the kernels this process was forked from; their epoll is shared with the original, so nothing may close it."""


FRAMING = ("status", "execute_input", "execute_reply")
"""What stands around a cell's outputs; `cells` tells its end at once, which sends these."""


class WireSession(Session):
    """A Jupyter session whose messages are frames on a wire; before there is one, they are dropped."""

    wire: Any = AnyTrait(allow_none=True)
    reply_status: Any = AnyTrait("ok")
    owner: Any = AnyTrait(0)
    dropped: Any = AnyTrait(0)

    def send(  # type: ignore[override]  # noqa: PLR0913, PLR0917 - the signature of what it replaces
        self,
        stream: object,
        msg_or_type: dict[str, Any] | str,
        content: dict[str, Any] | None = None,
        parent: dict[str, Any] | None = None,
        ident: object = None,
        buffers: Sequence[bytes | memoryview] | None = None,
        track: bool = False,
        header: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Sends one message; `stream`, `ident` and `track` are of the transport that is not there."""
        if isinstance(msg_or_type, dict):
            message, buffers = msg_or_type, buffers or msg_or_type.get("buffers", [])
        else:
            message = self.msg(msg_or_type, content=content, parent=parent, header=header, metadata=metadata)
        if message["header"]["msg_type"] == "execute_reply":
            self.reply_status = message["content"]["status"]
        wire: Wire | None = self.wire
        if wire is not None and os.getpid() == self.owner:  # what the notebook forks has no say, as with ZeroMQ
            payload = self.pack({name: message[name] for name in MESSAGE_PARTS})
            if message["header"]["msg_type"] in FRAMING:
                wire.hold(MESSAGE, payload)
            else:
                with suppress(BrokenPipeError, ConnectionResetError):  # the client is gone, and this process soon will be
                    wire.send_raw(MESSAGE, payload, buffers or ())
        elif wire is None:
            self.dropped += 1
        return message


class WireKernel(IPythonKernel):
    """ipykernel's kernel, told that there are no channels whose queues could be aborted or shared."""

    _execute_sleep = 0

    @property
    def _supports_kernel_subshells(self) -> bool:
        return False

    def _abort_queues(self, subshell_id: str | None = None) -> None:
        """One request is sent at a time, so nothing waits that an error could abort."""


class WireApp(IPKernelApp):
    """ipykernel's application without sockets: configuration, profile, extensions and startup files work as ever."""

    def build(self) -> WireKernel:
        """Makes the kernel and its shell; nothing of this depends on the notebook's folder or environment."""
        self.parent_handle = 1
        # each kernel has a history of its own in memory, as papermill's kernels have in effect
        BaseIPythonApplication.initialize(self, ["--HistoryManager.hist_file=:memory:", "--IPKernelApp.log_level=40"])
        self.init_pdb()
        self.session = WireSession(username="workbench", parent=self)
        self.session.check_pid = False
        self.kernel = WireKernel.instance(
            parent=self,
            session=self.session,
            iopub_socket=None,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
            shell_channel_thread=None,
        )
        self.init_shell()
        return self.kernel

    def configuration(self) -> list[str]:
        """The files, there or not, that IPython reads for this kernel when it is built."""
        names = [f"{name}.{kind}" for name in ("ipython_config", *self.config_files) for kind in ("py", "json")]
        return [os.path.join(folder, name) for folder in self.config_file_paths for name in names]

    def prepare(self) -> None:
        """What depends on neither the notebook's folder nor its environment, done once per process."""
        self.init_path()
        if not self._extensions_wait():
            self.init_extensions()

    def finish(self) -> None:
        """What may depend on them: the extensions and the code of the user's IPython profile.

        The end is IPython's `init_code`, but for another list of all modules, which alone would touch a thousand shared pages.
        """
        self.init_gui_pylab()
        if self._extensions_wait():
            self.init_extensions()
        shell: Any = self.shell
        modules = len(sys.modules)
        self._run_startup_files()
        self._run_exec_lines()
        self._run_exec_files()
        if self.hide_initial_ns:
            shell.user_ns_hidden.update(shell.user_ns)
        self._run_cmd_line_code()
        self._run_module()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if len(sys.modules) > modules:
            shell._sys_modules_keys |= sys.modules.keys()

    def _extensions_wait(self) -> bool:
        """Whether the profile has extensions of its own, or restores variables from where the last notebook stored them."""
        restores = self.config.get("StoreMagics", {}).get("autorestore", False)
        return bool(self.extensions or self.extra_extensions or restores)

    def init_crash_handler(self) -> None:
        """A fault of ours goes to the runner's log, not into a crash report of IPython's."""


class WarmKernel:
    """Drives the kernel one request at a time, on an event loop that lives as long as the kernel."""

    def __init__(self, application: WireApp, kernel: WireKernel) -> None:
        self.application, self.kernel = application, kernel
        self.session: Any = kernel.session  # a WireSession
        self.capture = Capture()
        self.context = contextvars.copy_context()  # one for all cells: what a cell sets lasts
        self.succeeded = True
        self.before: Any = None

    @property
    def shell(self) -> Any:
        """The IPython shell with the notebook's namespace."""
        return self.kernel.shell

    def prepare(self) -> None:
        """In the process that will run the cells: what takes no order, such as the event loop and the pipes of its output."""
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.kernel._control_lock = asyncio.Lock()
        self.kernel.io_loop = self.loop.run_until_complete(_current_loop())
        self.kernel.shell_channel_thread = types.SimpleNamespace(parent_thread=threading.current_thread())
        self.capture.open(self.session)
        self.session.session = uuid.uuid4().hex  # its siblings were built with the same

    def rehearse(self) -> None:
        """Runs a cell that nobody hears of: what a first cell would pay for, such as copies of shared pages, is paid."""
        content = {"code": "print()", "silent": True, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        ours, theirs = pair()
        sys.stdout, sys.stderr = self.capture.streams
        self.session.wire, self.session.owner = theirs, os.getpid()
        self.dispatch(request("execute_request", content, "rehearsal"))
        self.shell.display_formatter.format([0])
        self.session.wire = None
        for end in (ours, theirs):
            end.close()

    def start(self, wire: Wire) -> None:
        """Begins to talk over `wire`; whatever is printed from now on goes there."""
        sys.stdout, sys.stderr = self.capture.start()
        self.session.wire, self.session.owner = wire, os.getpid()

    def leave(self) -> None:
        """Makes room for another application, kernel and shell in this process; the namespace stays."""
        for single in (type(self.shell), WireKernel, WireApp):
            single.clear_instance()

    def renew(self) -> None:
        """In a forked copy, before `prepare`: what belongs to the original is left alone, since closing it would reach it."""
        ABANDONED.append(self.loop)
        self.capture = Capture()

    def stop(self) -> None:
        """Ends talking; what is printed from now on goes to the process's own files."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        self.session.wire = None
        self.capture.stop()
        sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__

    def dispatch(self, message: dict[str, Any]) -> None:
        """Handles one request and returns when the kernel is idle again."""
        task = self.loop.create_task(self._dispatch(message), context=self.context)
        self.loop.run_until_complete(task)

    async def _dispatch(self, message: dict[str, Any]) -> None:
        kernel = self.kernel
        kernel.set_parent([b"workbench"], message, channel="shell")
        kernel._publish_status("busy", "shell")
        handler = kernel.shell_handlers.get(message["header"]["msg_type"])
        if handler is not None:
            kernel.pre_handler_hook()
            try:
                handled = handler(None, [b"workbench"], message)
                if inspect.isawaitable(handled):
                    await handled
                self.succeeded = self.session.reply_status != "error"
            except Exception:
                kernel.log.exception("a message handler failed")
            except KeyboardInterrupt:
                kernel.log.error("KeyboardInterrupt caught in kernel.")
            finally:
                kernel.post_handler_hook()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        kernel._publish_status("idle", "shell")


def request(kind: str, content: dict[str, Any], identity: str) -> dict[str, Any]:
    """A Jupyter message as the kernel takes it."""
    header = {
        "msg_id": identity,
        "msg_type": kind,
        "session": "workbench",
        "username": "workbench",
        "date": datetime.datetime.now(datetime.UTC),
        "version": "5.3",
    }
    named = {"msg_id": identity, "msg_type": kind, "content": content}
    return {"header": header, "parent_header": {}, "metadata": {}, "buffers": [], **named}


async def _current_loop() -> IOLoop:
    return IOLoop.current()


def build_kernel() -> WarmKernel:
    """Makes the one kernel of this process, not yet talking; `application.finish()` and `start` complete it."""
    application = WireApp.instance()
    return WarmKernel(application, application.build())


def introduce(shell: Any) -> None:
    """Libraries that look for the shell when they are imported, and were imported before there was one, are told here."""
    backend: Any = sys.modules.get("matplotlib_inline.backend_inline")
    if backend is not None:
        backend._enable_matplotlib_integration()
    widgets: Any = sys.modules.get("ipywidgets")
    if widgets is not None:
        widgets.load_ipython_extension(shell)
