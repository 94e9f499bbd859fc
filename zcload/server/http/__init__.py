"""HTTP/1 on the receivers' side: send requests, parse heads, give bodies to the sinks."""
