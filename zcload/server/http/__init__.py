"""HTTP/1 from the receivers' side: requests out, heads checked, bodies drained by the sinks."""
