"""Logkeep: log backup for Elasticsearch, OpenSearch and Logstash clusters."""

__version__ = "0.1.0"
