"""The configuration's text, from the Jinja2 templates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.l7.conf.view import ConfView

if TYPE_CHECKING:
    import jinja2


def render(view: ConfView) -> str:
    """Return nginx.conf."""
    return _environment().get_template("nginx.conf.j2").render(view=view)


def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("netsim.l7", "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # nginx is no HTML; every word was quoted when the view was built
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
