"""Tells which hosts have an app by a route with a placeholder, without making the app."""

from typing import TYPE_CHECKING

from snakepit.config import placeholders
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from snakepit.config.options import RoutedApp
    from snakepit.server.apps.table import Apps


def has_tenant(apps: "Apps") -> "Callable[[str], bool] | None":
    """Return what tells whether a host has an app by a route with a placeholder; None: there are no such routes."""
    return (lambda host: leads_to_folder(host, apps.templates)) if apps.templates else None


def leads_to_folder(host: str, templates: "Iterable[RoutedApp]") -> bool:
    """Tell whether a host's first label stands for an app whose folder exists. It looks at the disk.

    Where the folder does not depend on the label, any label would do, so none does.
    """
    label, _, rest = host.partition(".")
    value = placeholders.read_value(label.encode("ascii", "replace"))
    if value is None:
        return False
    for template in templates:
        first, _, below = template.route.host.partition(":")[0].partition(".")
        found = placeholders.PLACEHOLDER.fullmatch(first)
        if found is None or below != rest or found[1] not in placeholders.names(template.config.app_dir):
            continue
        try:
            if template.filled({found[1]: value}) is not None:
                return True
        except ConfigError:  # its other folders are wrong, of which its first request will tell
            return True
    return False
