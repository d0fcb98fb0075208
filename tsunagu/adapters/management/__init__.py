"""Managing devices beyond FIWARE's API: preview, quarantine, candidates, import; under /tsunagu/v1/devices."""
