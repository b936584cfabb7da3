"""The report document: `document` puts report.json together, each other module writes or checks one part of it."""
