"""`python -m fhir_server.cli` is `fhir-server`."""

import sys

from fhir_server.cli import main

sys.exit(main())
