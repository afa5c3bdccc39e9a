"""Pages of results: plain data, drawn by Matplotlib and written as one file of HTML."""
