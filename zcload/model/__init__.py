"""The records that flow through zcload, its tables of metrics, cautions and checks, and units. Pure: no clock, no socket, no file."""
