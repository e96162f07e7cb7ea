"""`backpain-cds package`: the knowledge as a FHIR NPM package."""

import argparse

from fhir_profiles.conformance.package import archive
from hooks.cli.outputs import write_output
from hooks.cli.site import knowledge_of, settings_of
from hooks.cli.terminal import Terminal
from hooks.fhir_package import published
from hooks.release import release_version


def run(args: argparse.Namespace, terminal: Terminal) -> int:
    """Write the package, and say on stderr what is in it."""
    settings = settings_of(args.config)
    made = published(settings, knowledge_of(settings), release_version())
    name, content = args.output or made.file_name, archive(made)
    where = write_output(name, content)
    terminal.remark(
        f"{where}: {len(made.resources)} resources and {len(made.examples)} examples, version {made.version}"
    )
    return 0
