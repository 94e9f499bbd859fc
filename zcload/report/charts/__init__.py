"""Charts of a result: `registry` lists them, each other file is a chart or a part of one, and `draw` draws them."""
