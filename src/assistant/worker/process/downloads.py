"""Fetching the weights of plugins that do not carry them."""

from livekit.agents import Plugin

from assistant.catalog.catalog import Catalog
from assistant.worker.providers import registry


def download(catalog: Catalog) -> list[str]:
    """Fetch what the providers of these agents need; returns the names of the plugins that did.

    Raises:
        MissingExtraError: a provider's package is not installed.
    """
    for module in registry.modules_for(catalog.agents.values()):
        registry.load(module)
    # Most plugins have nothing to fetch, and inherit a method that does nothing.
    fetching = [
        plugin
        for plugin in Plugin.registered_plugins
        if type(plugin).download_files is not Plugin.download_files
    ]
    for plugin in fetching:
        plugin.download_files()
    return [plugin.title for plugin in fetching]
