"""The result directory: written as it is measured, read with a torn tail."""
