"""What a result directory holds, as types: every line of windows.jsonl and every object of summary.json."""
