"""The running process: supervisor, workers, and what they show of themselves.

Light on import: the supervisor knows neither the models nor the Kafka client.
"""
