"""River levels as CSV of the Government Interoperability Framework."""
