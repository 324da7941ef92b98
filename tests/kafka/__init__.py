"""Tests that talk to a real Apache Kafka, which the suite starts itself."""
