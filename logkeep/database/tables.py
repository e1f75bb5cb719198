"""The catalogue's tables."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# One row: the id in `installation.id` beside the keys, by which neither is ever taken for another's.
installation = Table("installation", metadata, Column("id", String(32), primary_key=True))

projects = Table(
    "projects",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("region", String(64), nullable=False, server_default=""),
)

access_keys = Table(
    "access_keys",
    metadata,
    Column("ak", String(64), primary_key=True),
    Column("project_id", String(32), ForeignKey("projects.id"), nullable=False),
    Column("sealed_sk", LargeBinary, nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("security_token_sha256", String(64), nullable=False, server_default=""),
    Column("issuer", String(64)),
    Index("ix_access_keys_issuer", "issuer", "expires_at"),
)

users = Table(
    "users",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("project_id", String(32), ForeignKey("projects.id"), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
)

tokens = Table(
    "tokens",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("user_id", String(32), ForeignKey("users.id"), nullable=False, index=True),
    Column("project_id", String(32)),  # None: for the account
    Column("issued_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# Sessions of the console, each of a user or of a key. Only the hash of what the browser shows is kept.
console_sessions = Table(
    "console_sessions",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("user_id", String(32)),  # None: of a key
    Column("ak", String(64)),  # None: of a user
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),  # when somebody last did something in it
    Index("ix_console_sessions_seen_at", "seen_at"),
    Index("ix_console_sessions_owner", "user_id", "ak", "created_at"),
)

# Links that sign in to the console once, with the rights of the key that asked for them.
console_links = Table(
    "console_links",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("ak", String(64), nullable=False, index=True),
    Column("expires_at", BigInteger, nullable=False, index=True),
)

# Refers to nothing, so that it stays when a cluster goes.
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("who", String(128), nullable=False),
    Column("project_id", String(32), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("cluster_id", String(36), nullable=False),
    Column("address", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("code", String(16), nullable=False),
    Column("request_id", String(32), nullable=False),
    Index("ix_audit_at", "at", "id"),
    Index("ix_audit_project", "project_id", "at", "id"),
)

clusters = Table(
    "clusters",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("project_id", String(32), ForeignKey("projects.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("version", String(64), nullable=False),
    Column("endpoint", String(1024), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    # How its own API is asked for its nodes; '' where they were named by hand.
    Column("url", String(1024), nullable=False, server_default=""),
    Column("url_user", String(255), nullable=False, server_default=""),
    Column("sealed_password", LargeBinary),
    Column("source", Text, nullable=False, server_default=""),  # pattern of each node's source
    UniqueConstraint("project_id", "name"),
)

# Where objects of a cluster lie or lay. It stays when log backup is closed, and goes with the cluster.
places = Table(
    "places",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("bucket", String(63), primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("folded", Text, nullable=False),  # without upper and lower case
    Index("ix_places_folded", "bucket", "folded"),
)

nodes = Table(
    "nodes",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("id", String(36), nullable=False),
    Column("source", Text, nullable=False),
    Column("role", String(32), nullable=False),
    Column("ip", String(255), nullable=False),
    Column("instance", String(64), nullable=False, server_default=""),  # the cluster's own id of it
    Column("gone_at", BigInteger),  # since when the cluster does not name it
    Column("listing_digest", String(64), nullable=False, server_default=""),
    Column(
        "unread", LargeBinary
    ),  # files of which not all is kept yet, a list of `PendingFile` as msgpack; None for none
)

cluster_tags = Table(
    "cluster_tags",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(128), primary_key=True),
    Column("value", String(255), nullable=False),
)

log_settings = Table(
    "log_settings",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("id", String(36), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("agency", String(64), nullable=False),
    Column("bucket", String(255), nullable=False),
    Column("base_path", String(512), nullable=False),
    Column("period", String(64)),
    Column("updated_at", BigInteger, nullable=False),
    Column("adaptive", Boolean, nullable=False, server_default=false()),  # add runs before the node deletes
    Column("extra_due", BigInteger),  # the moment of such a run
    Column("failures_cleared_at", BigInteger, nullable=False, server_default="0"),  # FAIL records before are gone
    Column("policy_since", BigInteger),  # when the period was set; None, as what follows, where there is none
    Column("due_at", BigInteger),  # when the next daily run starts
    Column("missed_at", BigInteger),  # when the last one should have started, if it came late
    # The clock asks each second what is due, so what is not due must cost nothing.
    Index("ix_log_settings_due", "due_at"),
    Index("ix_log_settings_extra", "extra_due"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("job_id", String(32), nullable=False, unique=True),
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False),
    Column("type", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("bucket", String(255), nullable=False),
    Column("base_path", String(512), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("failed_msg", Text),
    Column("attempt", Integer, nullable=False, server_default="0"),  # fences writers: only the newest may commit
    Column("manifest_job_id", String(32)),  # job whose manifest tells of it; None until one does
    Column("agency", String(64), nullable=False, server_default=""),  # as it was set when the job was started
    Index("ix_jobs_page", "cluster_id", "created_at", "id"),
    Index("ix_jobs_page_status", "cluster_id", "status", "created_at", "id"),
    Index("ix_jobs_type", "cluster_id", "type", "status", "created_at", "id"),
    Index("ix_jobs_manifest", "cluster_id", "manifest_job_id"),
    # A few of millions, asked for again and again.
    Index(
        "ix_jobs_running",
        "job_id",
        "cluster_id",
        "attempt",
        sqlite_where=text("status = 'RUNNING'"),
        postgresql_where=text("status = 'RUNNING'"),
    ),
)

# What a job does on each node.
job_nodes = Table(
    "job_nodes",
    metadata,
    Column("job_id", String(32), ForeignKey("jobs.job_id", ondelete="CASCADE"), primary_key=True),
    Column("node", String(255), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("planned", BigInteger, nullable=False, server_default="0"),  # plain bytes, as far as is known
    Column("done", BigInteger, nullable=False, server_default="0"),
)

# Numbers of records by status, kept in the transactions that change them: counting a million rows takes too long.
job_counts = Table(
    "job_counts",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("status", String(16), primary_key=True),
    Column("jobs", BigInteger, nullable=False),
    Column("last_at", BigInteger),  # when the last of them ended; None while none has
)

# Daily moments at which no backup started; one that has not started yet becomes a row when it does.
missed_runs = Table(
    "missed_runs",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("due_at", BigInteger, primary_key=True),
    Column("job_id", String(32)),  # that was started late for it, and may have been cleared since
    Index("ix_missed_runs_due", "due_at"),
)

generations = Table(
    "generations",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("node", String(255), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("family", Text, nullable=False),
    Column("position", Float, nullable=False),
    Column("name", Text, nullable=False),
    Column("kept", BigInteger, nullable=False),
    Column("head_length", Integer, nullable=False),
    Column("head_sha256", String(64), nullable=False),
    Column("tail_length", Integer, nullable=False),
    Column("tail_sha256", String(64), nullable=False),
    Column("first_time", String(64), nullable=False, server_default=""),
    Column("last_time", String(64), nullable=False),
    Column("present", Boolean, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("ctime_ns", BigInteger, nullable=False),
    Column("inode", String(64), nullable=False),
    Column("joined", Boolean, nullable=False, server_default=true()),  # what came before it is accounted for
    Column("lead", String(64), nullable=False, server_default=""),  # hash of its first 256 bytes
    Column("checked", BigInteger, nullable=False, server_default="0"),  # up to here compared with the file, by turns
    Column("start", BigInteger, nullable=False, server_default="0"),  # its first byte
    Column("flaw", String(16), nullable=False, server_default=""),  # of the compressed file that it was read from
    # No file has it, and no rule asks for it but by its content; see `backup.retirement`. All but a few are.
    Column("retired", Boolean, nullable=False, server_default=false()),
    Column("removed", BigInteger, nullable=False, server_default="0"),  # bytes before this were removed by a rule
    # What a job loads, and then the retired ones by the first bytes of a file that was looked into.
    Index(
        "ix_generations_retired",
        "cluster_id",
        "node",
        "retired",
        "lead",
        "family",
        "head_length",
        "head_sha256",
        "generation",
    ),
)

segments = Table(
    "segments",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("node", String(255), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("job_id", String(32), nullable=False),
    Column("manifest_job_id", String(32)),  # job whose manifest names it; None until one does
    Column("bucket", String(255), nullable=False),
    Column("object", Text, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the whole `Segment`, msgpack
    Column("read_at", BigInteger, nullable=False, server_default="0"),  # when it was last read back; see `save_read`
    Column("raw", BigInteger, nullable=False, server_default="0"),  # plain bytes
    Column("lines", BigInteger, nullable=False, server_default="0"),  # ends of lines
    Column("indexed", SmallInteger, nullable=False, server_default="0"),  # see `database.indexing`
    # When the job was created that stored it, or at the latest, in Unix ms; None if unknown.
    Column("created_at", BigInteger),
    # Of its lines, as written in the log; '' where a frame does not tell its own.
    Column("first_time", String(64), nullable=False, server_default=""),
    Column("last_time", String(64), nullable=False, server_default=""),
    Index("ix_segments_manifest", "cluster_id", "manifest_job_id"),
    # Sums are made from these two alone: a row lies behind its body, which may be large.
    Index("ix_segments_job", "job_id", "node", "generation", "start", "raw", "stored", "lines"),
    Index("ix_segments_totals", "cluster_id", "node", "generation", "stored", "lines", "raw"),
    Index("ix_segments_object", "cluster_id", "object"),
    Index("ix_segments_read", "cluster_id", "read_at"),
    # Of many thousands a few, asked for each second.
    Index(
        "ix_segments_unindexed",
        "cluster_id",
        "node",
        sqlite_where=text("indexed = 0"),
        postgresql_where=text("indexed = 0"),
    ),
)

# Who is making an index for search, and where it is not worth it yet.
indexings = Table(
    "indexings",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("claimed_until", BigInteger, nullable=False),  # Unix ms, as `look_at`
    Column("look_at", BigInteger, nullable=False),  # too little was new before
    # What the index objects of the cluster and their signatures take, as listed last; None before.
    Column("objects", BigInteger),
    Column("bytes", BigInteger),
)

# What each cluster had in the buckets at the end of a day; see `domain.usage`.
usage_days = Table(
    "usage_days",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("day", Integer, primary_key=True),  # since 1970, in UTC
    Column("raw", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("objects", BigInteger, nullable=False),
    Index("ix_usage_days_day", "day"),
)

# Requests to object stores. They stay when a cluster goes, whose id may come back with its archive.
store_requests = Table(
    "store_requests",
    metadata,
    Column("cluster_id", String(36), primary_key=True),  # '' where the name of the object did not tell
    Column("month", String(7), primary_key=True),  # 2026-11, in UTC
    Column("bucket", String(63), primary_key=True),
    Column("kind", String(8), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Index("ix_store_requests_month", "month"),
)

# What a job met on a node besides segments: gaps, sightings, failures, which go into its manifest; and forecasts.
findings = Table(
    "findings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("job_id", String(32), nullable=False, index=True),
    Column("node", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("body", LargeBinary, nullable=False),  # msgpack
    Column("cluster_id", String(36)),  # stays known when the record is cleared
    Index("ix_findings_gaps", "cluster_id", "kind", "node"),
)

# What a job says although it did not fail; it goes into its manifest.
job_warnings = Table(
    "job_warnings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", String(32), nullable=False),  # which may have been cleared since
    Column("key", String(64), nullable=False),  # hash of node, family, file and code: said once by a job
    Column("node", String(255), nullable=False),
    Column("family", Text, nullable=False),
    Column("file", Text, nullable=False),
    Column("code", String(64), nullable=False),
    Column("message", Text, nullable=False),
    UniqueConstraint("job_id", "key"),
    Index("ix_job_warnings_logs", "cluster_id", "node", "key"),
)

# How long after a backup a log may lose bytes that were written after it, at the pace seen so far.
forecasts = Table(
    "forecasts",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("node", String(255), primary_key=True),
    Column("family", Text, primary_key=True),
    Column("kept_at", BigInteger, nullable=False),  # what was written before is kept, Unix ms
    Column("margin", BigInteger, nullable=False),  # ms
)

# The ids of buckets that were used, by which it is seen that a bucket is still the same one; see `stores.proven`.
buckets = Table(
    "buckets",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("id", String(100), nullable=False),
)

# Buckets that were named at run time, besides those of logkeep.toml.
named_buckets = Table(
    "named_buckets",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # URL and credentials, as JSON
    Column("created_at", BigInteger, nullable=False),
)

manifests = Table(
    "manifests",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("number", Integer, nullable=False),  # 1, 2, … along the chain
    Column("bucket", String(255), nullable=False),
    Column("object", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("proven", Boolean, nullable=False, server_default=true()),  # False where no trusted signature covers it
    Column("unproven", String(64), nullable=False, server_default=""),  # hash of the unproven one just before it
    UniqueConstraint("cluster_id", "number"),
)

# What the last verification of a cluster that has ended came to, and when one was begun.
verifications = Table(
    "verifications",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),  # None before the first one has ended
    Column("objects", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("objects_read", BigInteger, nullable=False),
    Column("findings", BigInteger, nullable=False),
    Column("problem", Text, nullable=False),  # the first finding; '' for none
    # Since that one: when another could not be carried out, and why.
    Column("failed_at", BigInteger),
    Column("failure", Text, nullable=False, server_default=""),
)

# What is kept of a cluster or of one log of it; see `domain.retention`.
retention_rules = Table(
    "retention_rules",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("log", Text, primary_key=True),  # '' for the cluster
    Column("keep_days", Integer, nullable=False),
    Column("keep_bytes", BigInteger, nullable=False),
    Column("keep_jobs", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("confirmed_at", BigInteger),  # None: the clock does not carry it out
)

# Who carries out the retention of a cluster, and when it is looked at next. Whoever changes what the rules may remove
# locks the row.
retentions = Table(
    "retentions",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("claimed_until", BigInteger, nullable=False, server_default="0"),  # Unix ms, as the others
    Column("ran_at", BigInteger),  # when a run of the rules last ended
    Column("look_at", BigInteger),  # when what is left over is tried again; None where nothing is
    Column("problem", Text, nullable=False, server_default=""),  # why the last run broke off
    Index("ix_retentions_look", "look_at"),
    Index("ix_retentions_ran", "ran_at"),
)

protections = Table(
    "protections",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("job_id", String(32), nullable=False),  # '' for a span
    Column("span_from", String(64), nullable=False),
    Column("span_until", String(64), nullable=False),
    Column("node", String(255), nullable=False),  # '' for all
    Column("log", Text, nullable=False),
    Column("who", String(128), nullable=False),
    Column("why", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),  # None for never
)

# Signed objects of the bucket that say what rules removed.
removal_entries = Table(
    "removal_entries",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),  # 1, 2, …
    Column("bucket", String(255), nullable=False),
    Column("object", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("removed_at", BigInteger, nullable=False),
    Column("data", LargeBinary),  # its bytes, until the bucket has confirmed them
    Column("stored_at", BigInteger),  # when that was; None before
)

# What each entry says of a log of a node, by rule.
removals = Table(
    "removals",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),  # of the entry
    Column("node", String(255), nullable=False),
    Column("log", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("removed_at", BigInteger, nullable=False),
    Column("first_time", String(64), nullable=False),
    Column("last_time", String(64), nullable=False),
    Column("objects", BigInteger, nullable=False),
    Column("raw", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
    Index("ix_removals_node", "cluster_id", "node", "id"),
)

# Objects that an entry names and that may lie in the bucket yet.
removed_objects = Table(
    "removed_objects",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("bucket", String(255), primary_key=True),
    Column("object", Text, primary_key=True),
    Column("number", Integer, nullable=False),  # of the entry
    Column("stored", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("next_try", BigInteger, nullable=False, server_default="0"),  # Unix ms
    Column("reason", Text, nullable=False, server_default=""),  # why the bucket kept it
    Index("ix_removed_objects_next", "cluster_id", "next_try"),
)

# What was removed of what a job stored, whose record may have been cleared since.
removed_of_jobs = Table(
    "removed_of_jobs",
    metadata,
    Column("job_id", String(32), primary_key=True),
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("objects", BigInteger, nullable=False),
    Column("raw", BigInteger, nullable=False),
    Column("stored", BigInteger, nullable=False),
    Column("lines", BigInteger, nullable=False),
)

# Archives of removed clusters that are being deleted. They refer to nothing, as their clusters are gone.
archive_deletions = Table(
    "archive_deletions",
    metadata,
    Column("cluster_id", String(36), primary_key=True),
    Column("project_id", String(32), nullable=False),
    Column("name", String(255), nullable=False),
    Column("agency", String(64), nullable=False),  # with whose credentials
    Column("asked_at", BigInteger, nullable=False),  # Unix ms
    Column("asked_by", String(128), nullable=False),
    Column("claimed_until", BigInteger, nullable=False, server_default="0"),
    Column("next_try", BigInteger, nullable=False, server_default="0"),
    Column("objects", BigInteger, nullable=False, server_default="0"),  # deleted so far
    Column("stored", BigInteger, nullable=False, server_default="0"),  # bytes of them
    Column("waiting", BigInteger, nullable=False, server_default="0"),  # objects that the bucket kept at the last try
    Column("reason", Text, nullable=False, server_default=""),  # why
    Column("finished_at", BigInteger),
)

# Folders of such archives, which no other cluster may take before they are empty; see `places`.
deleted_places = Table(
    "deleted_places",
    metadata,
    Column("cluster_id", String(36), ForeignKey("archive_deletions.cluster_id", ondelete="CASCADE"), primary_key=True),
    Column("bucket", String(63), primary_key=True),
    Column("folder", Text, primary_key=True),
    Column("folded", Text, nullable=False),
    Index("ix_deleted_places_folded", "bucket", "folded"),
)

# Jobs of such archives: an object whose name tells another one is not of the cluster.
deleted_jobs = Table(
    "deleted_jobs",
    metadata,
    Column("cluster_id", String(36), ForeignKey("archive_deletions.cluster_id", ondelete="CASCADE"), primary_key=True),
    Column("job_id", String(32), primary_key=True),
)

# The processes that share the database; see `domain.worker`.
workers = Table(
    "workers",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(32), nullable=False),
    Column("queue_version", String(16), nullable=False),
    Column("revision", String(32), nullable=False),
    Column("jobs_at_once", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

# What was told of clusters and is not over; see `domain.notice_rules`.
notice_states = Table(
    "notice_states",
    metadata,
    Column("cluster_id", String(36), ForeignKey("clusters.id", ondelete="CASCADE"), primary_key=True),
    Column("state", String(24), primary_key=True),
    Column("since", BigInteger, nullable=False),  # Unix ms, as all times
    Column(
        "seen_by", String(32), nullable=False, server_default=""
    ),  # the job or verification that it was last found by
    Column("marks", Text, nullable=False, server_default=""),  # what of it was told
    Column("over_since", BigInteger),  # when it was first not found any more
)

# The same of buckets, each as the clusters of one project with one agency use it.
notice_buckets = Table(
    "notice_buckets",
    metadata,
    Column("project_id", String(32), ForeignKey("projects.id"), primary_key=True),
    Column("bucket", String(255), primary_key=True),
    Column("agency", String(64), primary_key=True),
    Column("since", BigInteger, nullable=False),
    Column("over_since", BigInteger),
)

# Refers to no cluster, so that it stays when one goes.
notices = Table(
    "notices",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("event", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),
    Column("project_id", String(32), nullable=False),  # '' where it concerns the whole installation
    Column("cluster_id", String(36), nullable=False),  # '' where it concerns none alone, as `cluster`
    Column("cluster", String(64), nullable=False),
    Column("state", String(24), nullable=False),
    Column("code", String(64), nullable=False),
    Column("cause", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Index("ix_notices_at", "at"),
    Index("ix_notices_page", "project_id", "at", "id"),
    Index("ix_notices_cluster", "cluster_id", "at", "id"),
)

# A notice on its way to one target, which is named `/NAME` if it is of logkeep.toml, and else `PROJECT/NAME`.
notice_deliveries = Table(
    "notice_deliveries",
    metadata,
    Column("notice_id", String(32), ForeignKey("notices.id", ondelete="CASCADE"), primary_key=True),
    Column("target", String(97), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # not sent before
    Column("message_id", String(32), nullable=False, server_default=""),  # of what it is sent in; '' before that
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),  # of the last attempt
    Column("delivered_at", BigInteger),
    # A few of many, asked for each second.
    Index(
        "ix_notice_deliveries_waiting",
        "target",
        "created_at",
        "notice_id",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index("ix_notice_deliveries_message", "target", "message_id"),
)

# Webhooks that projects name, besides the targets of logkeep.toml.
notice_targets = Table(
    "notice_targets",
    metadata,
    Column("project_id", String(32), ForeignKey("projects.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # URL and secret, as JSON
    Column("address", String(300), nullable=False),  # scheme and host
    Column("clusters", Text, nullable=False),  # patterns and events, each in a line of its own
    Column("events", Text, nullable=False),
    Column("quiet", String(16), nullable=False),
    Column("zone", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# How it goes with each target that anything was sent to.
notice_target_states = Table(
    "notice_target_states",
    metadata,
    Column("target", String(97), primary_key=True),
    Column("claimed_until", BigInteger, nullable=False, server_default="0"),  # by a process that sends to it
    Column("paused_until", BigInteger, nullable=False, server_default="0"),  # after a failure
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("failing_since", BigInteger),
    Column("told_at", BigInteger),  # when the others were told of that
    Column("error", Text, nullable=False, server_default=""),
    Column("delivered_at", BigInteger),
    Column("ping_due", BigInteger),  # when a ping should go out; None for none
    Column("ping_mark", BigInteger, nullable=False, server_default="0"),  # the success, or the moment, of the last
)
