"""The video logic of Longtake: pure Python, without Ray, vLLM or a web server."""
