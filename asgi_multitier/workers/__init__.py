"""The workers of one application on one machine: each may ask all others a question.

- claims: which number a worker has; frames: questions and answers as bytes
- workers: the socket of this worker, and what it asks of the others
"""

from .workers import Answer, Answering, Workers

__all__ = ["Answer", "Answering", "Workers"]
