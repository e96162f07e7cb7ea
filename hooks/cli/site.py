"""The site's configuration for a command: the same file, the same checks as for the service."""

import os

from fhir_profiles.errors import KnowledgeError
from fhir_profiles.terminology import Knowledge, load_knowledge
from hooks.cli.terminal import Unusable
from hooks.errors import SettingsError
from hooks.settings import Settings, config_path, load_settings
from hooks.states import States
from hooks.switchboard import Switchboard


def settings_of(option: str | None, development: bool = False) -> Settings:
    """Settings by `--config`, else by the environment, else the defaults. Raises Unusable naming the key.

    development: what holds when the file does not say.
    """
    try:
        return load_settings(config_path(option, os.environ), development)
    except SettingsError as error:
        raise Unusable(str(error)) from None


def knowledge_of(settings: Settings) -> Knowledge:
    """All codes, those of the site included. Raises Unusable naming the file."""
    try:
        return load_knowledge(settings.concepts_dir)
    except KnowledgeError as error:
        raise Unusable(str(error)) from None


def states_of(settings: Settings) -> States:
    """Which criteria are off or silent for a call without a client. Raises Unusable for a bad switch file."""
    try:
        return Switchboard(settings).states()
    except SettingsError as error:
        raise Unusable(str(error)) from None
