"""`workbench server`, `login` and `logout`: runs a team's server, and says at which server one works."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.output import console, errors, print_done, print_json, print_next
from workbench.errors import BadInput, NotAuthenticated

if TYPE_CHECKING:
    from workbench.registry.saved_login import Login

__all__ = ["login", "logout", "server_app", "sign_in"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
Folder = Annotated[Path, typer.Option(help="Where the server keeps users, projects and models.")]
FOLDER = Path("workbench-server")
DATABASE = "WORKBENCH_DATABASE_URL"

server_app = typer.Typer(help="Run a team's server, or set a project's gates on it.", invoke_without_command=True)


@server_app.callback()
def server(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    context: typer.Context,
    folder: Folder = FOLDER,
    host: Annotated[str, typer.Option(help="The address to listen on; another than loopback needs a certificate.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8443,
    name: Annotated[list[str] | None, typer.Option(help="A name by which people address the server; repeatable.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="The file of the TLS certificate, PEM.")] = None,
    key: Annotated[Path | None, typer.Option(help="The file of its private key, PEM.")] = None,
    issuer: Annotated[str | None, typer.Option(help="The address of the identity provider (OpenID Connect).")] = None,
    client: Annotated[str, typer.Option(help="The client that this server is at the identity provider.")] = "workbench",
    json: Json = False,
) -> None:
    """Run a team's server until Ctrl-C."""
    context.obj = folder
    if context.invoked_subcommand is not None:
        return
    from workbench.governance.oidc import Provider
    from workbench.server.running import Address, serve

    def told(url: str, bootstrap: str | None) -> None:
        if json:
            print_json({"url": url, "folder": str(folder), "bootstrap": bootstrap})
            return
        console.print(f"[green]✓[/] {url} serves {folder}; Ctrl-C ends it", markup=True)
        if bootstrap is not None:
            console.print(f"  one-time token for the first admin: {bootstrap}", markup=False)
            print_next(f"workbench login {url} --bootstrap")

    secret = os.environ.get("WORKBENCH_OIDC_SECRET")  # not an option: every user of the machine can read those
    provider = None if issuer is None else Provider(issuer=issuer, client=client, secret=secret)
    address = Address(host=host, port=port, names=frozenset(name or ()), certificate=certificate, key=key)
    serve(folder, address, database_url=os.environ.get(DATABASE), provider=provider, told=told)


@server_app.command("policy")
def policy(
    context: typer.Context,
    project: Annotated[str, typer.Argument(help="The project; it is made if it is new.")],
    file: Annotated[Path, typer.Argument(help="A TOML file with a [gates] table.")],
    json: Json = False,
) -> None:
    """Set a project's gates, on the machine and as the user that runs the server."""
    from workbench.server.running import set_policy

    digest = set_policy(context.obj, project, file, database_url=os.environ.get(DATABASE))
    if json:
        print_json({"project": project, "digest": digest})
    else:
        print_done(f"the gates of {project} are those of {file} (digest {digest[:12]}…); earlier approvals count no more")


def login(
    url: Annotated[str, typer.Argument(help="The server's address, such as https://HOST:8443.")],
    name: Annotated[str | None, typer.Option(help="Your name at the server; asked for otherwise.")] = None,
    token: Annotated[bool, typer.Option("--token", help="Paste a token instead of a password.")] = False,
    browser: Annotated[bool, typer.Option("--browser", help="Log in at the organisation's identity provider.")] = False,
    bootstrap: Annotated[bool, typer.Option("--bootstrap", help="Become the first admin, by the one-time token.")] = False,
    certificate: Annotated[Path | None, typer.Option(help="A file of certificates to trust for this server, PEM.")] = None,
    json: Json = False,
) -> None:
    """Log in at a team's server. The token that is kept looks and works; deciding on a model asks for the password again."""
    from workbench.registry.login import enter_by_bootstrap, enter_by_browser, enter_by_password, enter_by_token
    from workbench.registry.saved_login import save_login

    if token + browser + bootstrap > 1:
        raise BadInput("only one of --token, --browser and --bootstrap can be used", hint="workbench login --help")
    trusted = str(certificate) if certificate else None
    if browser:
        made = enter_by_browser(url, trusted, keep=True, show=lambda address: print_next(f"open {address}"))
    elif token:
        made = enter_by_token(url, trusted, typer.prompt("Token", hide_input=True, err=True))
    else:
        once = typer.prompt("One-time token", hide_input=True, err=True) if bootstrap else ""
        who = name or typer.prompt("Name", err=True)
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=bootstrap, err=True)
        made = (
            enter_by_bootstrap(url, trusted, once, who, password)
            if bootstrap
            else enter_by_password(url, trusted, who, password, keep=True)
        )
    file = save_login(made)
    if json:
        print_json({"url": made.url, "file": str(file)})
    else:
        print_done(f"logged in at {made.url}; the token is in {file}, and neither approves, promotes nor administers")
        print_next(f"export WORKBENCH_SERVER={made.url}")


def logout(json: Json = False) -> None:
    """Forget the token, here and at the server."""
    from workbench.registry.login import leave
    from workbench.registry.saved_login import forget_login

    forgotten = forget_login()
    ended = forgotten is not None and leave(forgotten)
    if json:
        print_json({"url": forgotten.url if forgotten else None, "revoked": ended})
    elif forgotten is None:
        console.print("nobody was logged in")
    else:
        print_done(
            f"logged out of {forgotten.url}" + ("" if ended else "; the server could not be told, its token expires by itself")
        )


def sign_in(kept: Login) -> Login:
    """A login for one act, which is kept nowhere. Called before acts that a kept login cannot do.

    Raises:
        NotAuthenticated: there is nobody to ask, or the password is not right.
    """
    from workbench.registry.login import enter_by_browser, enter_by_password

    if kept.way == "browser":
        return enter_by_browser(kept.url, kept.certificate, keep=False, show=lambda address: errors.print(f"open {address}"))
    try:
        name = kept.name or typer.prompt("Name", err=True)
        password = typer.prompt(f"Password of {name} at {kept.url}", hide_input=True, err=True)
    except typer.Abort as error:
        raise NotAuthenticated(
            "this act takes your password, and nobody is here to give it",
            hint="Run it in a terminal, or give a token to this one command: WORKBENCH_TOKEN=… workbench …",
        ) from error
    return enter_by_password(kept.url, kept.certificate, name, password, keep=False)
