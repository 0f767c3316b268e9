"""JupyterLab's configuration under `workbench lab`: loopback only, no news, no extension installs, warm kernels over ipc."""

from workbench.execution.warm.place import attached_folder

c = get_config()  # type: ignore[name-defined]  # noqa: F821 - traitlets defines it while it reads this file

c.ServerApp.ip = "127.0.0.1"
c.ServerApp.allow_root = True  # a container often has no other user; the token guards the server either way
c.ServerApp.allow_unauthenticated_access = False
c.LabApp.extension_manager = "readonly"
c.LabApp.news_url = ""
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.KernelManager.transport = "ipc"
c.KernelProvisionerFactory.default_provisioner_name = "workbench-provisioner"
c.ServerApp.kernel_websocket_connection_class = "workbench.execution.lab_channels.PromptChannels"
c.ServerApp.allow_external_kernels = True  # those that runs left for a person to attach to
c.ServerApp.external_connection_dir = str(attached_folder())
c.LanguageServerManager.autodetect = False
c.Application.log_level = "WARN"  # the address is still printed
