"""JupyterLab's connection to a kernel, sending each reply at once. Named by the configuration of `workbench lab`."""

from __future__ import annotations

from typing import Any

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

__all__ = ["PromptChannels"]


class PromptChannels(ZMQChannelsWebsocketConnection):
    """jupyter_server's own, without Nagle's algorithm: the small messages of a reply otherwise wait 40 ms for each other."""

    def connect(self) -> Any:
        """Called when the browser opens its websocket."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()
