CREATE TABLE "access_keys" (
	ak VARCHAR(64) NOT NULL,
	project_id VARCHAR(32) NOT NULL,
	sealed_sk BLOB NOT NULL,
	created_at BIGINT NOT NULL,
	revoked_at BIGINT,
	role VARCHAR(16) NOT NULL,
	expires_at BIGINT,
	security_token_sha256 VARCHAR(64) DEFAULT ('') NOT NULL, issuer VARCHAR(64),
	CONSTRAINT pk_access_keys PRIMARY KEY (ak),
	CONSTRAINT fk_access_keys_project_id FOREIGN KEY(project_id) REFERENCES projects (id)
);
CREATE INDEX ix_access_keys_issuer ON access_keys (issuer, expires_at);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE archive_deletions (
	cluster_id VARCHAR(36) NOT NULL,
	project_id VARCHAR(32) NOT NULL,
	name VARCHAR(255) NOT NULL,
	agency VARCHAR(64) NOT NULL,
	asked_at BIGINT NOT NULL,
	asked_by VARCHAR(128) NOT NULL,
	claimed_until BIGINT DEFAULT '0' NOT NULL,
	next_try BIGINT DEFAULT '0' NOT NULL,
	objects BIGINT DEFAULT '0' NOT NULL,
	stored BIGINT DEFAULT '0' NOT NULL,
	waiting BIGINT DEFAULT '0' NOT NULL,
	reason TEXT DEFAULT '' NOT NULL,
	finished_at BIGINT,
	CONSTRAINT pk_archive_deletions PRIMARY KEY (cluster_id)
);
CREATE TABLE audit (
	id INTEGER NOT NULL,
	at BIGINT NOT NULL,
	who VARCHAR(128) NOT NULL,
	project_id VARCHAR(32) NOT NULL,
	operation VARCHAR(64) NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	address VARCHAR(64) NOT NULL,
	status INTEGER NOT NULL,
	code VARCHAR(16) NOT NULL,
	request_id VARCHAR(32) NOT NULL,
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE INDEX ix_audit_at ON audit (at, id);
CREATE INDEX ix_audit_project ON audit (project_id, at, id);
CREATE TABLE buckets (
	name VARCHAR(255) NOT NULL,
	id VARCHAR(100) NOT NULL,
	CONSTRAINT pk_buckets PRIMARY KEY (name)
);
CREATE TABLE cluster_tags (
	cluster_id VARCHAR(36) NOT NULL,
	"key" VARCHAR(128) NOT NULL,
	value VARCHAR(255) NOT NULL,
	CONSTRAINT pk_cluster_tags PRIMARY KEY (cluster_id, "key"),
	CONSTRAINT fk_cluster_tags_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE clusters (
	id VARCHAR(36) NOT NULL,
	project_id VARCHAR(32) NOT NULL,
	name VARCHAR(255) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	version VARCHAR(64) NOT NULL,
	endpoint VARCHAR(1024) NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL, url VARCHAR(1024) DEFAULT '' NOT NULL, url_user VARCHAR(255) DEFAULT '' NOT NULL, sealed_password BLOB, source TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_clusters PRIMARY KEY (id),
	CONSTRAINT fk_clusters_project_id FOREIGN KEY(project_id) REFERENCES projects (id),
	CONSTRAINT uq_clusters_project_id_name UNIQUE (project_id, name)
);
CREATE TABLE console_links (
	sha256 VARCHAR(64) NOT NULL,
	ak VARCHAR(64) NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_console_links PRIMARY KEY (sha256)
);
CREATE INDEX ix_console_links_ak ON console_links (ak);
CREATE INDEX ix_console_links_expires_at ON console_links (expires_at);
CREATE TABLE console_sessions (
	sha256 VARCHAR(64) NOT NULL,
	user_id VARCHAR(32),
	ak VARCHAR(64),
	created_at BIGINT NOT NULL,
	seen_at BIGINT NOT NULL,
	CONSTRAINT pk_console_sessions PRIMARY KEY (sha256)
);
CREATE INDEX ix_console_sessions_owner ON console_sessions (user_id, ak, created_at);
CREATE INDEX ix_console_sessions_seen_at ON console_sessions (seen_at);
CREATE TABLE deleted_jobs (
	cluster_id VARCHAR(36) NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	CONSTRAINT pk_deleted_jobs PRIMARY KEY (cluster_id, job_id),
	CONSTRAINT fk_deleted_jobs_cluster_id FOREIGN KEY(cluster_id) REFERENCES archive_deletions (cluster_id) ON DELETE CASCADE
);
CREATE TABLE deleted_places (
	cluster_id VARCHAR(36) NOT NULL,
	bucket VARCHAR(63) NOT NULL,
	folder TEXT NOT NULL,
	folded TEXT NOT NULL,
	CONSTRAINT pk_deleted_places PRIMARY KEY (cluster_id, bucket, folder),
	CONSTRAINT fk_deleted_places_cluster_id FOREIGN KEY(cluster_id) REFERENCES archive_deletions (cluster_id) ON DELETE CASCADE
);
CREATE INDEX ix_deleted_places_folded ON deleted_places (bucket, folded);
CREATE TABLE findings (
	id INTEGER NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	node VARCHAR(255) NOT NULL,
	kind VARCHAR(16) NOT NULL,
	body BLOB NOT NULL, cluster_id VARCHAR(36),
	CONSTRAINT pk_findings PRIMARY KEY (id)
);
CREATE INDEX ix_findings_gaps ON findings (cluster_id, kind, node);
CREATE INDEX ix_findings_job_id ON findings (job_id);
CREATE TABLE forecasts (
	cluster_id VARCHAR(36) NOT NULL,
	node VARCHAR(255) NOT NULL,
	family TEXT NOT NULL,
	kept_at BIGINT NOT NULL,
	margin BIGINT NOT NULL,
	CONSTRAINT pk_forecasts PRIMARY KEY (cluster_id, node, family),
	CONSTRAINT fk_forecasts_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE generations (
	cluster_id VARCHAR(36) NOT NULL,
	node VARCHAR(255) NOT NULL,
	generation INTEGER NOT NULL,
	family TEXT NOT NULL,
	position FLOAT NOT NULL,
	name TEXT NOT NULL,
	kept BIGINT NOT NULL,
	head_length INTEGER NOT NULL,
	head_sha256 VARCHAR(64) NOT NULL,
	tail_length INTEGER NOT NULL,
	tail_sha256 VARCHAR(64) NOT NULL,
	last_time VARCHAR(64) NOT NULL,
	present BOOLEAN NOT NULL,
	size BIGINT NOT NULL,
	mtime_ns BIGINT NOT NULL,
	ctime_ns BIGINT NOT NULL,
	inode VARCHAR(64) NOT NULL, first_time VARCHAR(64) DEFAULT '' NOT NULL, joined BOOLEAN DEFAULT 1 NOT NULL, lead VARCHAR(64) DEFAULT '' NOT NULL, checked BIGINT DEFAULT '0' NOT NULL, start BIGINT DEFAULT '0' NOT NULL, retired BOOLEAN DEFAULT 0 NOT NULL, flaw VARCHAR(16) DEFAULT '' NOT NULL, removed BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_generations PRIMARY KEY (cluster_id, node, generation),
	CONSTRAINT fk_generations_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_generations_retired ON generations (cluster_id, node, retired, lead, family, head_length, head_sha256, generation);
CREATE TABLE indexings (
	cluster_id VARCHAR(36) NOT NULL,
	claimed_until BIGINT NOT NULL,
	look_at BIGINT NOT NULL, objects BIGINT, bytes BIGINT,
	CONSTRAINT pk_indexings PRIMARY KEY (cluster_id),
	CONSTRAINT fk_indexings_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE installation (
	id VARCHAR(32) NOT NULL,
	CONSTRAINT pk_installation PRIMARY KEY (id)
);
CREATE TABLE job_counts (
	cluster_id VARCHAR(36) NOT NULL,
	status VARCHAR(16) NOT NULL,
	jobs BIGINT NOT NULL, last_at BIGINT,
	CONSTRAINT pk_job_counts PRIMARY KEY (cluster_id, status),
	CONSTRAINT fk_job_counts_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE job_nodes (
	job_id VARCHAR(32) NOT NULL,
	node VARCHAR(255) NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT,
	planned BIGINT DEFAULT '0' NOT NULL,
	done BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_job_nodes PRIMARY KEY (job_id, node),
	CONSTRAINT fk_job_nodes_job_id FOREIGN KEY(job_id) REFERENCES jobs (job_id) ON DELETE CASCADE
);
CREATE TABLE job_warnings (
	id INTEGER NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	"key" VARCHAR(64) NOT NULL,
	node VARCHAR(255) NOT NULL,
	family TEXT NOT NULL,
	file TEXT NOT NULL,
	code VARCHAR(64) NOT NULL,
	message TEXT NOT NULL,
	CONSTRAINT pk_job_warnings PRIMARY KEY (id),
	CONSTRAINT fk_job_warnings_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE,
	CONSTRAINT uq_job_warnings_job_id_key UNIQUE (job_id, "key")
);
CREATE INDEX ix_job_warnings_logs ON job_warnings (cluster_id, node, "key");
CREATE TABLE jobs (
	id VARCHAR(36) NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	type VARCHAR(16) NOT NULL,
	status VARCHAR(16) NOT NULL,
	bucket VARCHAR(255) NOT NULL,
	base_path VARCHAR(512) NOT NULL,
	created_at BIGINT NOT NULL,
	finished_at BIGINT,
	failed_msg TEXT,
	attempt INTEGER DEFAULT '0' NOT NULL, manifest_job_id VARCHAR(32), agency VARCHAR(64) DEFAULT '' NOT NULL,
	CONSTRAINT pk_jobs PRIMARY KEY (id),
	CONSTRAINT fk_jobs_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE,
	CONSTRAINT uq_jobs_job_id UNIQUE (job_id)
);
CREATE INDEX ix_jobs_manifest ON jobs (cluster_id, manifest_job_id);
CREATE INDEX ix_jobs_page ON jobs (cluster_id, created_at, id);
CREATE INDEX ix_jobs_page_status ON jobs (cluster_id, status, created_at, id);
CREATE INDEX ix_jobs_running ON jobs (job_id, cluster_id, attempt) WHERE status = 'RUNNING';
CREATE INDEX ix_jobs_type ON jobs (cluster_id, type, status, created_at, id);
CREATE TABLE log_settings (
	cluster_id VARCHAR(36) NOT NULL,
	id VARCHAR(36) NOT NULL,
	enabled BOOLEAN NOT NULL,
	agency VARCHAR(64) NOT NULL,
	bucket VARCHAR(255) NOT NULL,
	base_path VARCHAR(512) NOT NULL,
	period VARCHAR(64),
	updated_at BIGINT NOT NULL,
	adaptive BOOLEAN DEFAULT 0 NOT NULL, extra_due BIGINT, failures_cleared_at BIGINT DEFAULT '0' NOT NULL, policy_since BIGINT, due_at BIGINT, missed_at BIGINT,
	CONSTRAINT pk_log_settings PRIMARY KEY (cluster_id),
	CONSTRAINT fk_log_settings_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_log_settings_due ON log_settings (due_at);
CREATE INDEX ix_log_settings_extra ON log_settings (extra_due);
CREATE TABLE manifests (
	job_id VARCHAR(32) NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	number INTEGER NOT NULL,
	bucket VARCHAR(255) NOT NULL,
	object TEXT NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	proven BOOLEAN DEFAULT 1 NOT NULL,
	unproven VARCHAR(64) DEFAULT '' NOT NULL,
	CONSTRAINT pk_manifests PRIMARY KEY (job_id),
	CONSTRAINT fk_manifests_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE,
	CONSTRAINT uq_manifests_cluster_id_number UNIQUE (cluster_id, number)
);
CREATE INDEX ix_manifests_cluster_id ON manifests (cluster_id);
CREATE TABLE missed_runs (
	cluster_id VARCHAR(36) NOT NULL,
	due_at BIGINT NOT NULL,
	job_id VARCHAR(32),
	CONSTRAINT pk_missed_runs PRIMARY KEY (cluster_id, due_at),
	CONSTRAINT fk_missed_runs_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_missed_runs_due ON missed_runs (due_at);
CREATE TABLE named_buckets (
	name VARCHAR(63) NOT NULL,
	sealed BLOB NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_named_buckets PRIMARY KEY (name)
);
CREATE TABLE nodes (
	cluster_id VARCHAR(36) NOT NULL,
	name VARCHAR(255) NOT NULL,
	id VARCHAR(36) NOT NULL,
	source TEXT NOT NULL,
	role VARCHAR(32) NOT NULL,
	ip VARCHAR(255) NOT NULL,
	listing_digest VARCHAR(64) DEFAULT '' NOT NULL, unread BLOB, instance VARCHAR(64) DEFAULT '' NOT NULL, gone_at BIGINT,
	CONSTRAINT pk_nodes PRIMARY KEY (cluster_id, name),
	CONSTRAINT fk_nodes_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE notice_buckets (
	project_id VARCHAR(32) NOT NULL,
	bucket VARCHAR(255) NOT NULL,
	agency VARCHAR(64) NOT NULL,
	since BIGINT NOT NULL,
	over_since BIGINT,
	CONSTRAINT pk_notice_buckets PRIMARY KEY (project_id, bucket, agency),
	CONSTRAINT fk_notice_buckets_project_id FOREIGN KEY(project_id) REFERENCES projects (id)
);
CREATE TABLE notice_deliveries (
	notice_id VARCHAR(32) NOT NULL,
	target VARCHAR(97) NOT NULL,
	state VARCHAR(16) NOT NULL,
	created_at BIGINT NOT NULL,
	due_at BIGINT NOT NULL,
	message_id VARCHAR(32) DEFAULT '' NOT NULL,
	attempts INTEGER DEFAULT '0' NOT NULL,
	error TEXT DEFAULT '' NOT NULL,
	delivered_at BIGINT,
	CONSTRAINT pk_notice_deliveries PRIMARY KEY (notice_id, target),
	CONSTRAINT fk_notice_deliveries_notice_id FOREIGN KEY(notice_id) REFERENCES notices (id) ON DELETE CASCADE
);
CREATE INDEX ix_notice_deliveries_message ON notice_deliveries (target, message_id);
CREATE INDEX ix_notice_deliveries_waiting ON notice_deliveries (target, created_at, notice_id) WHERE state = 'waiting';
CREATE TABLE notice_states (
	cluster_id VARCHAR(36) NOT NULL,
	state VARCHAR(24) NOT NULL,
	since BIGINT NOT NULL,
	seen_by VARCHAR(32) DEFAULT '' NOT NULL,
	marks TEXT DEFAULT '' NOT NULL,
	over_since BIGINT,
	CONSTRAINT pk_notice_states PRIMARY KEY (cluster_id, state),
	CONSTRAINT fk_notice_states_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE notice_target_states (
	target VARCHAR(97) NOT NULL,
	claimed_until BIGINT DEFAULT '0' NOT NULL,
	paused_until BIGINT DEFAULT '0' NOT NULL,
	failures INTEGER DEFAULT '0' NOT NULL,
	failing_since BIGINT,
	told_at BIGINT,
	error TEXT DEFAULT '' NOT NULL,
	delivered_at BIGINT,
	ping_due BIGINT,
	ping_mark BIGINT DEFAULT '0' NOT NULL,
	CONSTRAINT pk_notice_target_states PRIMARY KEY (target)
);
CREATE TABLE notice_targets (
	project_id VARCHAR(32) NOT NULL,
	name VARCHAR(64) NOT NULL,
	sealed BLOB NOT NULL,
	address VARCHAR(300) NOT NULL,
	clusters TEXT NOT NULL,
	events TEXT NOT NULL,
	quiet VARCHAR(16) NOT NULL,
	zone VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL,
	CONSTRAINT pk_notice_targets PRIMARY KEY (project_id, name),
	CONSTRAINT fk_notice_targets_project_id FOREIGN KEY(project_id) REFERENCES projects (id)
);
CREATE TABLE notices (
	id VARCHAR(32) NOT NULL,
	event VARCHAR(32) NOT NULL,
	at BIGINT NOT NULL,
	since BIGINT NOT NULL,
	project_id VARCHAR(32) NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	cluster VARCHAR(64) NOT NULL,
	state VARCHAR(24) NOT NULL,
	code VARCHAR(64) NOT NULL,
	cause TEXT NOT NULL,
	remedy TEXT NOT NULL,
	CONSTRAINT pk_notices PRIMARY KEY (id)
);
CREATE INDEX ix_notices_at ON notices (at);
CREATE INDEX ix_notices_cluster ON notices (cluster_id, at, id);
CREATE INDEX ix_notices_page ON notices (project_id, at, id);
CREATE TABLE places (
	cluster_id VARCHAR(36) NOT NULL,
	bucket VARCHAR(63) NOT NULL,
	folder TEXT NOT NULL,
	folded TEXT NOT NULL,
	CONSTRAINT pk_places PRIMARY KEY (cluster_id, bucket, folder),
	CONSTRAINT fk_places_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_places_folded ON places (bucket, folded);
CREATE TABLE projects (
	id VARCHAR(32) NOT NULL,
	name VARCHAR(64) NOT NULL,
	created_at BIGINT NOT NULL, region VARCHAR(64) DEFAULT '' NOT NULL,
	CONSTRAINT pk_projects PRIMARY KEY (id),
	CONSTRAINT uq_projects_name UNIQUE (name)
);
CREATE TABLE protections (
	id VARCHAR(36) NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	span_from VARCHAR(64) NOT NULL,
	span_until VARCHAR(64) NOT NULL,
	node VARCHAR(255) NOT NULL,
	log TEXT NOT NULL,
	who VARCHAR(128) NOT NULL,
	why TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	expires_at BIGINT,
	CONSTRAINT pk_protections PRIMARY KEY (id),
	CONSTRAINT fk_protections_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_protections_cluster_id ON protections (cluster_id);
CREATE TABLE removal_entries (
	cluster_id VARCHAR(36) NOT NULL,
	number INTEGER NOT NULL,
	bucket VARCHAR(255) NOT NULL,
	object TEXT NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	removed_at BIGINT NOT NULL,
	data BLOB,
	stored_at BIGINT,
	CONSTRAINT pk_removal_entries PRIMARY KEY (cluster_id, number),
	CONSTRAINT fk_removal_entries_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE removals (
	id INTEGER NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	number INTEGER NOT NULL,
	node VARCHAR(255) NOT NULL,
	log TEXT NOT NULL,
	rule TEXT NOT NULL,
	removed_at BIGINT NOT NULL,
	first_time VARCHAR(64) NOT NULL,
	last_time VARCHAR(64) NOT NULL,
	objects BIGINT NOT NULL,
	raw BIGINT NOT NULL,
	stored BIGINT NOT NULL,
	lines BIGINT NOT NULL,
	CONSTRAINT pk_removals PRIMARY KEY (id),
	CONSTRAINT fk_removals_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_removals_node ON removals (cluster_id, node, id);
CREATE TABLE removed_objects (
	cluster_id VARCHAR(36) NOT NULL,
	bucket VARCHAR(255) NOT NULL,
	object TEXT NOT NULL,
	number INTEGER NOT NULL,
	stored BIGINT NOT NULL,
	tries INTEGER DEFAULT '0' NOT NULL,
	next_try BIGINT DEFAULT '0' NOT NULL,
	reason TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_removed_objects PRIMARY KEY (cluster_id, bucket, object),
	CONSTRAINT fk_removed_objects_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_removed_objects_next ON removed_objects (cluster_id, next_try);
CREATE TABLE removed_of_jobs (
	job_id VARCHAR(32) NOT NULL,
	cluster_id VARCHAR(36) NOT NULL,
	objects BIGINT NOT NULL,
	raw BIGINT NOT NULL,
	stored BIGINT NOT NULL,
	lines BIGINT NOT NULL,
	CONSTRAINT pk_removed_of_jobs PRIMARY KEY (job_id),
	CONSTRAINT fk_removed_of_jobs_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_removed_of_jobs_cluster_id ON removed_of_jobs (cluster_id);
CREATE TABLE retention_rules (
	cluster_id VARCHAR(36) NOT NULL,
	log TEXT NOT NULL,
	keep_days INTEGER NOT NULL,
	keep_bytes BIGINT NOT NULL,
	keep_jobs INTEGER NOT NULL,
	changed_at BIGINT NOT NULL,
	changed_by VARCHAR(128) NOT NULL,
	confirmed_at BIGINT,
	CONSTRAINT pk_retention_rules PRIMARY KEY (cluster_id, log),
	CONSTRAINT fk_retention_rules_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE retentions (
	cluster_id VARCHAR(36) NOT NULL,
	claimed_until BIGINT DEFAULT '0' NOT NULL,
	ran_at BIGINT,
	look_at BIGINT,
	problem TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_retentions PRIMARY KEY (cluster_id),
	CONSTRAINT fk_retentions_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_retentions_look ON retentions (look_at);
CREATE INDEX ix_retentions_ran ON retentions (ran_at);
CREATE TABLE segments (
	cluster_id VARCHAR(36) NOT NULL,
	node VARCHAR(255) NOT NULL,
	generation INTEGER NOT NULL,
	start BIGINT NOT NULL,
	job_id VARCHAR(32) NOT NULL,
	manifest_job_id VARCHAR(32),
	bucket VARCHAR(255) NOT NULL,
	object TEXT NOT NULL,
	stored BIGINT NOT NULL,
	body BLOB NOT NULL, read_at BIGINT DEFAULT '0' NOT NULL, raw BIGINT DEFAULT '0' NOT NULL, lines BIGINT DEFAULT '0' NOT NULL, "indexed" SMALLINT DEFAULT '0' NOT NULL, created_at BIGINT, first_time VARCHAR(64) DEFAULT '' NOT NULL, last_time VARCHAR(64) DEFAULT '' NOT NULL,
	CONSTRAINT pk_segments PRIMARY KEY (cluster_id, node, generation, start),
	CONSTRAINT fk_segments_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_segments_job ON segments (job_id, node, generation, start, raw, stored, lines);
CREATE INDEX ix_segments_manifest ON segments (cluster_id, manifest_job_id);
CREATE INDEX ix_segments_object ON segments (cluster_id, object);
CREATE INDEX ix_segments_read ON segments (cluster_id, read_at);
CREATE INDEX ix_segments_totals ON segments (cluster_id, node, generation, stored, lines, raw);
CREATE INDEX ix_segments_unindexed ON segments (cluster_id, node) WHERE indexed = 0;
CREATE TABLE store_requests (
	cluster_id VARCHAR(36) NOT NULL,
	month VARCHAR(7) NOT NULL,
	bucket VARCHAR(63) NOT NULL,
	kind VARCHAR(8) NOT NULL,
	requests BIGINT NOT NULL,
	CONSTRAINT pk_store_requests PRIMARY KEY (cluster_id, month, bucket, kind)
);
CREATE INDEX ix_store_requests_month ON store_requests (month);
CREATE TABLE tokens (
	sha256 VARCHAR(64) NOT NULL,
	user_id VARCHAR(32) NOT NULL,
	project_id VARCHAR(32),
	issued_at BIGINT NOT NULL,
	expires_at BIGINT NOT NULL,
	CONSTRAINT pk_tokens PRIMARY KEY (sha256),
	CONSTRAINT fk_tokens_user_id FOREIGN KEY(user_id) REFERENCES users (id)
);
CREATE INDEX ix_tokens_expires_at ON tokens (expires_at);
CREATE INDEX ix_tokens_user_id ON tokens (user_id);
CREATE TABLE usage_days (
	cluster_id VARCHAR(36) NOT NULL,
	day INTEGER NOT NULL,
	raw BIGINT NOT NULL,
	stored BIGINT NOT NULL,
	objects BIGINT NOT NULL,
	CONSTRAINT pk_usage_days PRIMARY KEY (cluster_id, day),
	CONSTRAINT fk_usage_days_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE INDEX ix_usage_days_day ON usage_days (day);
CREATE TABLE users (
	id VARCHAR(32) NOT NULL,
	name VARCHAR(64) NOT NULL,
	project_id VARCHAR(32) NOT NULL,
	role VARCHAR(16) NOT NULL,
	password_hash TEXT NOT NULL,
	created_at BIGINT NOT NULL,
	revoked_at BIGINT,
	CONSTRAINT pk_users PRIMARY KEY (id),
	CONSTRAINT fk_users_project_id FOREIGN KEY(project_id) REFERENCES projects (id),
	CONSTRAINT uq_users_name UNIQUE (name)
);
CREATE TABLE verifications (
	cluster_id VARCHAR(36) NOT NULL,
	started_at BIGINT NOT NULL,
	finished_at BIGINT,
	objects BIGINT NOT NULL,
	bytes BIGINT NOT NULL,
	objects_read BIGINT NOT NULL,
	findings BIGINT NOT NULL,
	problem TEXT NOT NULL,
	failed_at BIGINT,
	failure TEXT DEFAULT '' NOT NULL,
	CONSTRAINT pk_verifications PRIMARY KEY (cluster_id),
	CONSTRAINT fk_verifications_cluster_id FOREIGN KEY(cluster_id) REFERENCES clusters (id) ON DELETE CASCADE
);
CREATE TABLE workers (
	id VARCHAR(128) NOT NULL,
	host VARCHAR(255) NOT NULL,
	pid INTEGER NOT NULL,
	version VARCHAR(32) NOT NULL,
	queue_version VARCHAR(16) NOT NULL,
	revision VARCHAR(32) NOT NULL,
	jobs_at_once INTEGER NOT NULL,
	started_at BIGINT NOT NULL,
	seen_at BIGINT NOT NULL,
	CONSTRAINT pk_workers PRIMARY KEY (id)
);
