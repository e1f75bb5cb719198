access_keys.ak character varying(64) NOT NULL
access_keys.created_at bigint NOT NULL
access_keys.expires_at bigint
access_keys.issuer character varying(64)
access_keys.project_id character varying(32) NOT NULL
access_keys.revoked_at bigint
access_keys.role character varying(16) NOT NULL
access_keys.sealed_sk bytea NOT NULL
access_keys.security_token_sha256 character varying(64) NOT NULL DEFAULT ''::character varying
alembic_version.version_num character varying(32) NOT NULL
audit.address character varying(64) NOT NULL
audit.at bigint NOT NULL
audit.cluster_id character varying(36) NOT NULL
audit.code character varying(16) NOT NULL
audit.id integer NOT NULL DEFAULT nextval('audit_id_seq'::regclass)
audit.operation character varying(64) NOT NULL
audit.project_id character varying(32) NOT NULL
audit.request_id character varying(32) NOT NULL
audit.status integer NOT NULL
audit.who character varying(128) NOT NULL
buckets.id character varying(100) NOT NULL
buckets.name character varying(255) NOT NULL
cluster_tags.cluster_id character varying(36) NOT NULL
cluster_tags.key character varying(128) NOT NULL
cluster_tags.value character varying(255) NOT NULL
clusters.created_at bigint NOT NULL
clusters.endpoint character varying(1024) NOT NULL
clusters.id character varying(36) NOT NULL
clusters.kind character varying(32) NOT NULL
clusters.name character varying(255) NOT NULL
clusters.project_id character varying(32) NOT NULL
clusters.sealed_password bytea
clusters.source text NOT NULL DEFAULT ''::text
clusters.updated_at bigint NOT NULL
clusters.url character varying(1024) NOT NULL DEFAULT ''::character varying
clusters.url_user character varying(255) NOT NULL DEFAULT ''::character varying
clusters.version character varying(64) NOT NULL
console_links.ak character varying(64) NOT NULL
console_links.expires_at bigint NOT NULL
console_links.sha256 character varying(64) NOT NULL
console_sessions.ak character varying(64)
console_sessions.created_at bigint NOT NULL
console_sessions.seen_at bigint NOT NULL
console_sessions.sha256 character varying(64) NOT NULL
console_sessions.user_id character varying(32)
findings.body bytea NOT NULL
findings.cluster_id character varying(36)
findings.id integer NOT NULL DEFAULT nextval('findings_id_seq'::regclass)
findings.job_id character varying(32) NOT NULL
findings.kind character varying(16) NOT NULL
findings.node character varying(255) NOT NULL
forecasts.cluster_id character varying(36) NOT NULL
forecasts.family text NOT NULL
forecasts.kept_at bigint NOT NULL
forecasts.margin bigint NOT NULL
forecasts.node character varying(255) NOT NULL
generations.checked bigint NOT NULL DEFAULT '0'::bigint
generations.cluster_id character varying(36) NOT NULL
generations.ctime_ns bigint NOT NULL
generations.family text NOT NULL
generations.first_time character varying(64) NOT NULL DEFAULT ''::character varying
generations.flaw character varying(16) NOT NULL DEFAULT ''::character varying
generations.generation integer NOT NULL
generations.head_length integer NOT NULL
generations.head_sha256 character varying(64) NOT NULL
generations.inode character varying(64) NOT NULL
generations.joined boolean NOT NULL DEFAULT true
generations.kept bigint NOT NULL
generations.last_time character varying(64) NOT NULL
generations.lead character varying(64) NOT NULL DEFAULT ''::character varying
generations.mtime_ns bigint NOT NULL
generations.name text NOT NULL
generations.node character varying(255) NOT NULL
generations.position double precision NOT NULL
generations.present boolean NOT NULL
generations.retired boolean NOT NULL DEFAULT false
generations.size bigint NOT NULL
generations.start bigint NOT NULL DEFAULT '0'::bigint
generations.tail_length integer NOT NULL
generations.tail_sha256 character varying(64) NOT NULL
indexings.claimed_until bigint NOT NULL
indexings.cluster_id character varying(36) NOT NULL
indexings.look_at bigint NOT NULL
installation.id character varying(32) NOT NULL
job_counts.cluster_id character varying(36) NOT NULL
job_counts.jobs bigint NOT NULL
job_counts.last_at bigint
job_counts.status character varying(16) NOT NULL
job_nodes.done bigint NOT NULL DEFAULT '0'::bigint
job_nodes.finished_at bigint
job_nodes.job_id character varying(32) NOT NULL
job_nodes.node character varying(255) NOT NULL
job_nodes.planned bigint NOT NULL DEFAULT '0'::bigint
job_nodes.started_at bigint NOT NULL
job_warnings.cluster_id character varying(36) NOT NULL
job_warnings.code character varying(64) NOT NULL
job_warnings.family text NOT NULL
job_warnings.file text NOT NULL
job_warnings.id integer NOT NULL DEFAULT nextval('job_warnings_id_seq'::regclass)
job_warnings.job_id character varying(32) NOT NULL
job_warnings.key character varying(64) NOT NULL
job_warnings.message text NOT NULL
job_warnings.node character varying(255) NOT NULL
jobs.agency character varying(64) NOT NULL DEFAULT ''::character varying
jobs.attempt integer NOT NULL DEFAULT 0
jobs.base_path character varying(512) NOT NULL
jobs.bucket character varying(255) NOT NULL
jobs.cluster_id character varying(36) NOT NULL
jobs.created_at bigint NOT NULL
jobs.failed_msg text
jobs.finished_at bigint
jobs.id character varying(36) NOT NULL
jobs.job_id character varying(32) NOT NULL
jobs.manifest_job_id character varying(32)
jobs.status character varying(16) NOT NULL
jobs.type character varying(16) NOT NULL
log_settings.adaptive boolean NOT NULL DEFAULT false
log_settings.agency character varying(64) NOT NULL
log_settings.base_path character varying(512) NOT NULL
log_settings.bucket character varying(255) NOT NULL
log_settings.cluster_id character varying(36) NOT NULL
log_settings.due_at bigint
log_settings.enabled boolean NOT NULL
log_settings.extra_due bigint
log_settings.failures_cleared_at bigint NOT NULL DEFAULT '0'::bigint
log_settings.id character varying(36) NOT NULL
log_settings.missed_at bigint
log_settings.period character varying(64)
log_settings.policy_since bigint
log_settings.updated_at bigint NOT NULL
manifests.bucket character varying(255) NOT NULL
manifests.cluster_id character varying(36) NOT NULL
manifests.job_id character varying(32) NOT NULL
manifests.number integer NOT NULL
manifests.object text NOT NULL
manifests.proven boolean NOT NULL DEFAULT true
manifests.sha256 character varying(64) NOT NULL
manifests.unproven character varying(64) NOT NULL DEFAULT ''::character varying
missed_runs.cluster_id character varying(36) NOT NULL
missed_runs.due_at bigint NOT NULL
missed_runs.job_id character varying(32)
named_buckets.created_at bigint NOT NULL
named_buckets.name character varying(63) NOT NULL
named_buckets.sealed bytea NOT NULL
nodes.cluster_id character varying(36) NOT NULL
nodes.gone_at bigint
nodes.id character varying(36) NOT NULL
nodes.instance character varying(64) NOT NULL DEFAULT ''::character varying
nodes.ip character varying(255) NOT NULL
nodes.listing_digest character varying(64) NOT NULL DEFAULT ''::character varying
nodes.name character varying(255) NOT NULL
nodes.role character varying(32) NOT NULL
nodes.source text NOT NULL
nodes.unread bytea
places.bucket character varying(63) NOT NULL
places.cluster_id character varying(36) NOT NULL
places.folded text NOT NULL
places.folder text NOT NULL
projects.created_at bigint NOT NULL
projects.id character varying(32) NOT NULL
projects.name character varying(64) NOT NULL
projects.region character varying(64) NOT NULL DEFAULT ''::character varying
segments.body bytea NOT NULL
segments.bucket character varying(255) NOT NULL
segments.cluster_id character varying(36) NOT NULL
segments.generation integer NOT NULL
segments.indexed smallint NOT NULL DEFAULT '0'::smallint
segments.job_id character varying(32) NOT NULL
segments.lines bigint NOT NULL DEFAULT '0'::bigint
segments.manifest_job_id character varying(32)
segments.node character varying(255) NOT NULL
segments.object text NOT NULL
segments.raw bigint NOT NULL DEFAULT '0'::bigint
segments.read_at bigint NOT NULL DEFAULT '0'::bigint
segments.start bigint NOT NULL
segments.stored bigint NOT NULL
tokens.expires_at bigint NOT NULL
tokens.issued_at bigint NOT NULL
tokens.project_id character varying(32)
tokens.sha256 character varying(64) NOT NULL
tokens.user_id character varying(32) NOT NULL
users.created_at bigint NOT NULL
users.id character varying(32) NOT NULL
users.name character varying(64) NOT NULL
users.password_hash text NOT NULL
users.project_id character varying(32) NOT NULL
users.revoked_at bigint
users.role character varying(16) NOT NULL
verifications.bytes bigint NOT NULL
verifications.cluster_id character varying(36) NOT NULL
verifications.failed_at bigint
verifications.failure text NOT NULL DEFAULT ''::text
verifications.findings bigint NOT NULL
verifications.finished_at bigint
verifications.objects bigint NOT NULL
verifications.objects_read bigint NOT NULL
verifications.problem text NOT NULL
verifications.started_at bigint NOT NULL
workers.host character varying(255) NOT NULL
workers.id character varying(128) NOT NULL
workers.jobs_at_once integer NOT NULL
workers.pid integer NOT NULL
workers.queue_version character varying(16) NOT NULL
workers.revision character varying(32) NOT NULL
workers.seen_at bigint NOT NULL
workers.started_at bigint NOT NULL
workers.version character varying(32) NOT NULL
access_keys CONSTRAINT fk_access_keys_project_id FOREIGN KEY (project_id) REFERENCES projects(id)
access_keys CONSTRAINT pk_access_keys PRIMARY KEY (ak)
alembic_version CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
audit CONSTRAINT pk_audit PRIMARY KEY (id)
buckets CONSTRAINT pk_buckets PRIMARY KEY (name)
cluster_tags CONSTRAINT fk_cluster_tags_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
cluster_tags CONSTRAINT pk_cluster_tags PRIMARY KEY (cluster_id, key)
clusters CONSTRAINT fk_clusters_project_id FOREIGN KEY (project_id) REFERENCES projects(id)
clusters CONSTRAINT pk_clusters PRIMARY KEY (id)
clusters CONSTRAINT uq_clusters_project_id_name UNIQUE (project_id, name)
console_links CONSTRAINT pk_console_links PRIMARY KEY (sha256)
console_sessions CONSTRAINT pk_console_sessions PRIMARY KEY (sha256)
findings CONSTRAINT pk_findings PRIMARY KEY (id)
forecasts CONSTRAINT fk_forecasts_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
forecasts CONSTRAINT pk_forecasts PRIMARY KEY (cluster_id, node, family)
generations CONSTRAINT fk_generations_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
generations CONSTRAINT pk_generations PRIMARY KEY (cluster_id, node, generation)
indexings CONSTRAINT fk_indexings_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
indexings CONSTRAINT pk_indexings PRIMARY KEY (cluster_id)
installation CONSTRAINT pk_installation PRIMARY KEY (id)
job_counts CONSTRAINT fk_job_counts_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
job_counts CONSTRAINT pk_job_counts PRIMARY KEY (cluster_id, status)
job_nodes CONSTRAINT fk_job_nodes_job_id FOREIGN KEY (job_id) REFERENCES jobs(job_id) ON DELETE CASCADE
job_nodes CONSTRAINT pk_job_nodes PRIMARY KEY (job_id, node)
job_warnings CONSTRAINT fk_job_warnings_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
job_warnings CONSTRAINT pk_job_warnings PRIMARY KEY (id)
job_warnings CONSTRAINT uq_job_warnings_job_id_key UNIQUE (job_id, key)
jobs CONSTRAINT fk_jobs_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
jobs CONSTRAINT pk_jobs PRIMARY KEY (id)
jobs CONSTRAINT uq_jobs_job_id UNIQUE (job_id)
log_settings CONSTRAINT fk_log_settings_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
log_settings CONSTRAINT pk_log_settings PRIMARY KEY (cluster_id)
manifests CONSTRAINT fk_manifests_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
manifests CONSTRAINT pk_manifests PRIMARY KEY (job_id)
manifests CONSTRAINT uq_manifests_cluster_id_number UNIQUE (cluster_id, number)
missed_runs CONSTRAINT fk_missed_runs_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
missed_runs CONSTRAINT pk_missed_runs PRIMARY KEY (cluster_id, due_at)
named_buckets CONSTRAINT pk_named_buckets PRIMARY KEY (name)
nodes CONSTRAINT fk_nodes_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
nodes CONSTRAINT pk_nodes PRIMARY KEY (cluster_id, name)
places CONSTRAINT fk_places_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
places CONSTRAINT pk_places PRIMARY KEY (cluster_id, bucket, folder)
projects CONSTRAINT pk_projects PRIMARY KEY (id)
projects CONSTRAINT uq_projects_name UNIQUE (name)
segments CONSTRAINT fk_segments_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
segments CONSTRAINT pk_segments PRIMARY KEY (cluster_id, node, generation, start)
tokens CONSTRAINT fk_tokens_user_id FOREIGN KEY (user_id) REFERENCES users(id)
tokens CONSTRAINT pk_tokens PRIMARY KEY (sha256)
users CONSTRAINT fk_users_project_id FOREIGN KEY (project_id) REFERENCES projects(id)
users CONSTRAINT pk_users PRIMARY KEY (id)
users CONSTRAINT uq_users_name UNIQUE (name)
verifications CONSTRAINT fk_verifications_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
verifications CONSTRAINT pk_verifications PRIMARY KEY (cluster_id)
workers CONSTRAINT pk_workers PRIMARY KEY (id)
CREATE INDEX ix_access_keys_issuer ON public.access_keys USING btree (issuer, expires_at)
CREATE INDEX ix_audit_at ON public.audit USING btree (at, id)
CREATE INDEX ix_audit_project ON public.audit USING btree (project_id, at, id)
CREATE INDEX ix_console_links_ak ON public.console_links USING btree (ak)
CREATE INDEX ix_console_links_expires_at ON public.console_links USING btree (expires_at)
CREATE INDEX ix_console_sessions_owner ON public.console_sessions USING btree (user_id, ak, created_at)
CREATE INDEX ix_console_sessions_seen_at ON public.console_sessions USING btree (seen_at)
CREATE INDEX ix_findings_gaps ON public.findings USING btree (cluster_id, kind, node)
CREATE INDEX ix_findings_job_id ON public.findings USING btree (job_id)
CREATE INDEX ix_generations_retired ON public.generations USING btree (cluster_id, node, retired, lead, family, head_length, head_sha256, generation)
CREATE INDEX ix_job_warnings_logs ON public.job_warnings USING btree (cluster_id, node, key)
CREATE INDEX ix_jobs_manifest ON public.jobs USING btree (cluster_id, manifest_job_id)
CREATE INDEX ix_jobs_page ON public.jobs USING btree (cluster_id, created_at, id)
CREATE INDEX ix_jobs_page_status ON public.jobs USING btree (cluster_id, status, created_at, id)
CREATE INDEX ix_jobs_running ON public.jobs USING btree (job_id, cluster_id, attempt) WHERE ((status)::text = 'RUNNING'::text)
CREATE INDEX ix_jobs_type ON public.jobs USING btree (cluster_id, type, status, created_at, id)
CREATE INDEX ix_log_settings_due ON public.log_settings USING btree (due_at)
CREATE INDEX ix_log_settings_extra ON public.log_settings USING btree (extra_due)
CREATE INDEX ix_manifests_cluster_id ON public.manifests USING btree (cluster_id)
CREATE INDEX ix_missed_runs_due ON public.missed_runs USING btree (due_at)
CREATE INDEX ix_places_folded ON public.places USING btree (bucket, folded)
CREATE INDEX ix_segments_job ON public.segments USING btree (job_id, node, generation, start, raw, stored, lines)
CREATE INDEX ix_segments_manifest ON public.segments USING btree (cluster_id, manifest_job_id)
CREATE INDEX ix_segments_object ON public.segments USING btree (cluster_id, object)
CREATE INDEX ix_segments_read ON public.segments USING btree (cluster_id, read_at)
CREATE INDEX ix_segments_totals ON public.segments USING btree (cluster_id, node, generation, stored, lines)
CREATE INDEX ix_segments_unindexed ON public.segments USING btree (cluster_id, node) WHERE (indexed = 0)
CREATE INDEX ix_tokens_expires_at ON public.tokens USING btree (expires_at)
CREATE INDEX ix_tokens_user_id ON public.tokens USING btree (user_id)
CREATE UNIQUE INDEX alembic_version_pkc ON public.alembic_version USING btree (version_num)
CREATE UNIQUE INDEX pk_access_keys ON public.access_keys USING btree (ak)
CREATE UNIQUE INDEX pk_audit ON public.audit USING btree (id)
CREATE UNIQUE INDEX pk_buckets ON public.buckets USING btree (name)
CREATE UNIQUE INDEX pk_cluster_tags ON public.cluster_tags USING btree (cluster_id, key)
CREATE UNIQUE INDEX pk_clusters ON public.clusters USING btree (id)
CREATE UNIQUE INDEX pk_console_links ON public.console_links USING btree (sha256)
CREATE UNIQUE INDEX pk_console_sessions ON public.console_sessions USING btree (sha256)
CREATE UNIQUE INDEX pk_findings ON public.findings USING btree (id)
CREATE UNIQUE INDEX pk_forecasts ON public.forecasts USING btree (cluster_id, node, family)
CREATE UNIQUE INDEX pk_generations ON public.generations USING btree (cluster_id, node, generation)
CREATE UNIQUE INDEX pk_indexings ON public.indexings USING btree (cluster_id)
CREATE UNIQUE INDEX pk_installation ON public.installation USING btree (id)
CREATE UNIQUE INDEX pk_job_counts ON public.job_counts USING btree (cluster_id, status)
CREATE UNIQUE INDEX pk_job_nodes ON public.job_nodes USING btree (job_id, node)
CREATE UNIQUE INDEX pk_job_warnings ON public.job_warnings USING btree (id)
CREATE UNIQUE INDEX pk_jobs ON public.jobs USING btree (id)
CREATE UNIQUE INDEX pk_log_settings ON public.log_settings USING btree (cluster_id)
CREATE UNIQUE INDEX pk_manifests ON public.manifests USING btree (job_id)
CREATE UNIQUE INDEX pk_missed_runs ON public.missed_runs USING btree (cluster_id, due_at)
CREATE UNIQUE INDEX pk_named_buckets ON public.named_buckets USING btree (name)
CREATE UNIQUE INDEX pk_nodes ON public.nodes USING btree (cluster_id, name)
CREATE UNIQUE INDEX pk_places ON public.places USING btree (cluster_id, bucket, folder)
CREATE UNIQUE INDEX pk_projects ON public.projects USING btree (id)
CREATE UNIQUE INDEX pk_segments ON public.segments USING btree (cluster_id, node, generation, start)
CREATE UNIQUE INDEX pk_tokens ON public.tokens USING btree (sha256)
CREATE UNIQUE INDEX pk_users ON public.users USING btree (id)
CREATE UNIQUE INDEX pk_verifications ON public.verifications USING btree (cluster_id)
CREATE UNIQUE INDEX pk_workers ON public.workers USING btree (id)
CREATE UNIQUE INDEX uq_clusters_project_id_name ON public.clusters USING btree (project_id, name)
CREATE UNIQUE INDEX uq_job_warnings_job_id_key ON public.job_warnings USING btree (job_id, key)
CREATE UNIQUE INDEX uq_jobs_job_id ON public.jobs USING btree (job_id)
CREATE UNIQUE INDEX uq_manifests_cluster_id_number ON public.manifests USING btree (cluster_id, number)
CREATE UNIQUE INDEX uq_projects_name ON public.projects USING btree (name)
CREATE UNIQUE INDEX uq_users_name ON public.users USING btree (name)
