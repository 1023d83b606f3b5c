"""From a chunk of the plan to its frames: one protocol, a file per backend.

Nothing is imported here: who only starts the process that decodes need not wait 6 s for torchcodec.
"""
