"""JupyterLab's configuration under `workbench lab`: loopback only, no news prompt, no extension installs, kernels over ipc."""

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - traitlets defines it while it reads this file

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.allow_root = True  # a container often has no other user; the token guards the server either way
c.ServerApp.allow_unauthenticated_access = False
c.LabApp.extension_manager = "readonly"
c.LabApp.news_url = ""
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.KernelManager.transport = "ipc"
c.LanguageServerManager.autodetect = False
c.Application.log_level = "WARN"  # the address is still printed
