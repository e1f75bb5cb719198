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
archive_deletions.agency character varying(64) NOT NULL
archive_deletions.asked_at bigint NOT NULL
archive_deletions.asked_by character varying(128) NOT NULL
archive_deletions.claimed_until bigint NOT NULL DEFAULT '0'::bigint
archive_deletions.cluster_id character varying(36) NOT NULL
archive_deletions.finished_at bigint
archive_deletions.name character varying(255) NOT NULL
archive_deletions.next_try bigint NOT NULL DEFAULT '0'::bigint
archive_deletions.objects bigint NOT NULL DEFAULT '0'::bigint
archive_deletions.project_id character varying(32) NOT NULL
archive_deletions.reason text NOT NULL DEFAULT ''::text
archive_deletions.stored bigint NOT NULL DEFAULT '0'::bigint
archive_deletions.waiting bigint NOT NULL DEFAULT '0'::bigint
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
deleted_jobs.cluster_id character varying(36) NOT NULL
deleted_jobs.job_id character varying(32) NOT NULL
deleted_places.bucket character varying(63) NOT NULL
deleted_places.cluster_id character varying(36) NOT NULL
deleted_places.folded text NOT NULL
deleted_places.folder text NOT NULL
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
generations.removed bigint NOT NULL DEFAULT '0'::bigint
generations.retired boolean NOT NULL DEFAULT false
generations.size bigint NOT NULL
generations.start bigint NOT NULL DEFAULT '0'::bigint
generations.tail_length integer NOT NULL
generations.tail_sha256 character varying(64) NOT NULL
indexings.bytes bigint
indexings.claimed_until bigint NOT NULL
indexings.cluster_id character varying(36) NOT NULL
indexings.look_at bigint NOT NULL
indexings.objects bigint
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
notice_buckets.agency character varying(64) NOT NULL
notice_buckets.bucket character varying(255) NOT NULL
notice_buckets.over_since bigint
notice_buckets.project_id character varying(32) NOT NULL
notice_buckets.since bigint NOT NULL
notice_deliveries.attempts integer NOT NULL DEFAULT 0
notice_deliveries.created_at bigint NOT NULL
notice_deliveries.delivered_at bigint
notice_deliveries.due_at bigint NOT NULL
notice_deliveries.error text NOT NULL DEFAULT ''::text
notice_deliveries.message_id character varying(32) NOT NULL DEFAULT ''::character varying
notice_deliveries.notice_id character varying(32) NOT NULL
notice_deliveries.state character varying(16) NOT NULL
notice_deliveries.target character varying(97) NOT NULL
notice_states.cluster_id character varying(36) NOT NULL
notice_states.marks text NOT NULL DEFAULT ''::text
notice_states.over_since bigint
notice_states.seen_by character varying(32) NOT NULL DEFAULT ''::character varying
notice_states.since bigint NOT NULL
notice_states.state character varying(24) NOT NULL
notice_target_states.claimed_until bigint NOT NULL DEFAULT '0'::bigint
notice_target_states.delivered_at bigint
notice_target_states.error text NOT NULL DEFAULT ''::text
notice_target_states.failing_since bigint
notice_target_states.failures integer NOT NULL DEFAULT 0
notice_target_states.paused_until bigint NOT NULL DEFAULT '0'::bigint
notice_target_states.ping_due bigint
notice_target_states.ping_mark bigint NOT NULL DEFAULT '0'::bigint
notice_target_states.target character varying(97) NOT NULL
notice_target_states.told_at bigint
notice_targets.address character varying(300) NOT NULL
notice_targets.clusters text NOT NULL
notice_targets.created_at bigint NOT NULL
notice_targets.events text NOT NULL
notice_targets.name character varying(64) NOT NULL
notice_targets.project_id character varying(32) NOT NULL
notice_targets.quiet character varying(16) NOT NULL
notice_targets.sealed bytea NOT NULL
notice_targets.zone character varying(64) NOT NULL
notices.at bigint NOT NULL
notices.cause text NOT NULL
notices.cluster character varying(64) NOT NULL
notices.cluster_id character varying(36) NOT NULL
notices.code character varying(64) NOT NULL
notices.event character varying(32) NOT NULL
notices.id character varying(32) NOT NULL
notices.project_id character varying(32) NOT NULL
notices.remedy text NOT NULL
notices.since bigint NOT NULL
notices.state character varying(24) NOT NULL
places.bucket character varying(63) NOT NULL
places.cluster_id character varying(36) NOT NULL
places.folded text NOT NULL
places.folder text NOT NULL
projects.created_at bigint NOT NULL
projects.id character varying(32) NOT NULL
projects.name character varying(64) NOT NULL
projects.region character varying(64) NOT NULL DEFAULT ''::character varying
protections.cluster_id character varying(36) NOT NULL
protections.created_at bigint NOT NULL
protections.expires_at bigint
protections.id character varying(36) NOT NULL
protections.job_id character varying(32) NOT NULL
protections.log text NOT NULL
protections.node character varying(255) NOT NULL
protections.span_from character varying(64) NOT NULL
protections.span_until character varying(64) NOT NULL
protections.who character varying(128) NOT NULL
protections.why text NOT NULL
removal_entries.bucket character varying(255) NOT NULL
removal_entries.cluster_id character varying(36) NOT NULL
removal_entries.data bytea
removal_entries.number integer NOT NULL
removal_entries.object text NOT NULL
removal_entries.removed_at bigint NOT NULL
removal_entries.sha256 character varying(64) NOT NULL
removal_entries.stored_at bigint
removals.cluster_id character varying(36) NOT NULL
removals.first_time character varying(64) NOT NULL
removals.id integer NOT NULL DEFAULT nextval('removals_id_seq'::regclass)
removals.last_time character varying(64) NOT NULL
removals.lines bigint NOT NULL
removals.log text NOT NULL
removals.node character varying(255) NOT NULL
removals.number integer NOT NULL
removals.objects bigint NOT NULL
removals.raw bigint NOT NULL
removals.removed_at bigint NOT NULL
removals.rule text NOT NULL
removals.stored bigint NOT NULL
removed_objects.bucket character varying(255) NOT NULL
removed_objects.cluster_id character varying(36) NOT NULL
removed_objects.next_try bigint NOT NULL DEFAULT '0'::bigint
removed_objects.number integer NOT NULL
removed_objects.object text NOT NULL
removed_objects.reason text NOT NULL DEFAULT ''::text
removed_objects.stored bigint NOT NULL
removed_objects.tries integer NOT NULL DEFAULT 0
removed_of_jobs.cluster_id character varying(36) NOT NULL
removed_of_jobs.job_id character varying(32) NOT NULL
removed_of_jobs.lines bigint NOT NULL
removed_of_jobs.objects bigint NOT NULL
removed_of_jobs.raw bigint NOT NULL
removed_of_jobs.stored bigint NOT NULL
retention_rules.changed_at bigint NOT NULL
retention_rules.changed_by character varying(128) NOT NULL
retention_rules.cluster_id character varying(36) NOT NULL
retention_rules.confirmed_at bigint
retention_rules.keep_bytes bigint NOT NULL
retention_rules.keep_days integer NOT NULL
retention_rules.keep_jobs integer NOT NULL
retention_rules.log text NOT NULL
retentions.claimed_until bigint NOT NULL DEFAULT '0'::bigint
retentions.cluster_id character varying(36) NOT NULL
retentions.look_at bigint
retentions.problem text NOT NULL DEFAULT ''::text
retentions.ran_at bigint
segments.body bytea NOT NULL
segments.bucket character varying(255) NOT NULL
segments.cluster_id character varying(36) NOT NULL
segments.created_at bigint
segments.first_time character varying(64) NOT NULL DEFAULT ''::character varying
segments.generation integer NOT NULL
segments.indexed smallint NOT NULL DEFAULT '0'::smallint
segments.job_id character varying(32) NOT NULL
segments.last_time character varying(64) NOT NULL DEFAULT ''::character varying
segments.lines bigint NOT NULL DEFAULT '0'::bigint
segments.manifest_job_id character varying(32)
segments.node character varying(255) NOT NULL
segments.object text NOT NULL
segments.raw bigint NOT NULL DEFAULT '0'::bigint
segments.read_at bigint NOT NULL DEFAULT '0'::bigint
segments.start bigint NOT NULL
segments.stored bigint NOT NULL
store_requests.bucket character varying(63) NOT NULL
store_requests.cluster_id character varying(36) NOT NULL
store_requests.kind character varying(8) NOT NULL
store_requests.month character varying(7) NOT NULL
store_requests.requests bigint NOT NULL
tokens.expires_at bigint NOT NULL
tokens.issued_at bigint NOT NULL
tokens.project_id character varying(32)
tokens.sha256 character varying(64) NOT NULL
tokens.user_id character varying(32) NOT NULL
usage_days.cluster_id character varying(36) NOT NULL
usage_days.day integer NOT NULL
usage_days.objects bigint NOT NULL
usage_days.raw bigint NOT NULL
usage_days.stored bigint NOT NULL
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
archive_deletions CONSTRAINT pk_archive_deletions PRIMARY KEY (cluster_id)
audit CONSTRAINT pk_audit PRIMARY KEY (id)
buckets CONSTRAINT pk_buckets PRIMARY KEY (name)
cluster_tags CONSTRAINT fk_cluster_tags_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
cluster_tags CONSTRAINT pk_cluster_tags PRIMARY KEY (cluster_id, key)
clusters CONSTRAINT fk_clusters_project_id FOREIGN KEY (project_id) REFERENCES projects(id)
clusters CONSTRAINT pk_clusters PRIMARY KEY (id)
clusters CONSTRAINT uq_clusters_project_id_name UNIQUE (project_id, name)
console_links CONSTRAINT pk_console_links PRIMARY KEY (sha256)
console_sessions CONSTRAINT pk_console_sessions PRIMARY KEY (sha256)
deleted_jobs CONSTRAINT fk_deleted_jobs_cluster_id FOREIGN KEY (cluster_id) REFERENCES archive_deletions(cluster_id) ON DELETE CASCADE
deleted_jobs CONSTRAINT pk_deleted_jobs PRIMARY KEY (cluster_id, job_id)
deleted_places CONSTRAINT fk_deleted_places_cluster_id FOREIGN KEY (cluster_id) REFERENCES archive_deletions(cluster_id) ON DELETE CASCADE
deleted_places CONSTRAINT pk_deleted_places PRIMARY KEY (cluster_id, bucket, folder)
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
notice_buckets CONSTRAINT fk_notice_buckets_project_id FOREIGN KEY (project_id) REFERENCES projects(id)
notice_buckets CONSTRAINT pk_notice_buckets PRIMARY KEY (project_id, bucket, agency)
notice_deliveries CONSTRAINT fk_notice_deliveries_notice_id FOREIGN KEY (notice_id) REFERENCES notices(id) ON DELETE CASCADE
notice_deliveries CONSTRAINT pk_notice_deliveries PRIMARY KEY (notice_id, target)
notice_states CONSTRAINT fk_notice_states_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
notice_states CONSTRAINT pk_notice_states PRIMARY KEY (cluster_id, state)
notice_target_states CONSTRAINT pk_notice_target_states PRIMARY KEY (target)
notice_targets CONSTRAINT fk_notice_targets_project_id FOREIGN KEY (project_id) REFERENCES projects(id)
notice_targets CONSTRAINT pk_notice_targets PRIMARY KEY (project_id, name)
notices CONSTRAINT pk_notices PRIMARY KEY (id)
places CONSTRAINT fk_places_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
places CONSTRAINT pk_places PRIMARY KEY (cluster_id, bucket, folder)
projects CONSTRAINT pk_projects PRIMARY KEY (id)
projects CONSTRAINT uq_projects_name UNIQUE (name)
protections CONSTRAINT fk_protections_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
protections CONSTRAINT pk_protections PRIMARY KEY (id)
removal_entries CONSTRAINT fk_removal_entries_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
removal_entries CONSTRAINT pk_removal_entries PRIMARY KEY (cluster_id, number)
removals CONSTRAINT fk_removals_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
removals CONSTRAINT pk_removals PRIMARY KEY (id)
removed_objects CONSTRAINT fk_removed_objects_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
removed_objects CONSTRAINT pk_removed_objects PRIMARY KEY (cluster_id, bucket, object)
removed_of_jobs CONSTRAINT fk_removed_of_jobs_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
removed_of_jobs CONSTRAINT pk_removed_of_jobs PRIMARY KEY (job_id)
retention_rules CONSTRAINT fk_retention_rules_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
retention_rules CONSTRAINT pk_retention_rules PRIMARY KEY (cluster_id, log)
retentions CONSTRAINT fk_retentions_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
retentions CONSTRAINT pk_retentions PRIMARY KEY (cluster_id)
segments CONSTRAINT fk_segments_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
segments CONSTRAINT pk_segments PRIMARY KEY (cluster_id, node, generation, start)
store_requests CONSTRAINT pk_store_requests PRIMARY KEY (cluster_id, month, bucket, kind)
tokens CONSTRAINT fk_tokens_user_id FOREIGN KEY (user_id) REFERENCES users(id)
tokens CONSTRAINT pk_tokens PRIMARY KEY (sha256)
usage_days CONSTRAINT fk_usage_days_cluster_id FOREIGN KEY (cluster_id) REFERENCES clusters(id) ON DELETE CASCADE
usage_days CONSTRAINT pk_usage_days PRIMARY KEY (cluster_id, day)
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
CREATE INDEX ix_deleted_places_folded ON public.deleted_places USING btree (bucket, folded)
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
CREATE INDEX ix_notice_deliveries_message ON public.notice_deliveries USING btree (target, message_id)
CREATE INDEX ix_notice_deliveries_waiting ON public.notice_deliveries USING btree (target, created_at, notice_id) WHERE ((state)::text = 'waiting'::text)
CREATE INDEX ix_notices_at ON public.notices USING btree (at)
CREATE INDEX ix_notices_cluster ON public.notices USING btree (cluster_id, at, id)
CREATE INDEX ix_notices_page ON public.notices USING btree (project_id, at, id)
CREATE INDEX ix_places_folded ON public.places USING btree (bucket, folded)
CREATE INDEX ix_protections_cluster_id ON public.protections USING btree (cluster_id)
CREATE INDEX ix_removals_node ON public.removals USING btree (cluster_id, node, id)
CREATE INDEX ix_removed_objects_next ON public.removed_objects USING btree (cluster_id, next_try)
CREATE INDEX ix_removed_of_jobs_cluster_id ON public.removed_of_jobs USING btree (cluster_id)
CREATE INDEX ix_retentions_look ON public.retentions USING btree (look_at)
CREATE INDEX ix_retentions_ran ON public.retentions USING btree (ran_at)
CREATE INDEX ix_segments_job ON public.segments USING btree (job_id, node, generation, start, raw, stored, lines)
CREATE INDEX ix_segments_manifest ON public.segments USING btree (cluster_id, manifest_job_id)
CREATE INDEX ix_segments_object ON public.segments USING btree (cluster_id, object)
CREATE INDEX ix_segments_read ON public.segments USING btree (cluster_id, read_at)
CREATE INDEX ix_segments_totals ON public.segments USING btree (cluster_id, node, generation, stored, lines, raw)
CREATE INDEX ix_segments_unindexed ON public.segments USING btree (cluster_id, node) WHERE (indexed = 0)
CREATE INDEX ix_store_requests_month ON public.store_requests USING btree (month)
CREATE INDEX ix_tokens_expires_at ON public.tokens USING btree (expires_at)
CREATE INDEX ix_tokens_user_id ON public.tokens USING btree (user_id)
CREATE INDEX ix_usage_days_day ON public.usage_days USING btree (day)
CREATE UNIQUE INDEX alembic_version_pkc ON public.alembic_version USING btree (version_num)
CREATE UNIQUE INDEX pk_access_keys ON public.access_keys USING btree (ak)
CREATE UNIQUE INDEX pk_archive_deletions ON public.archive_deletions USING btree (cluster_id)
CREATE UNIQUE INDEX pk_audit ON public.audit USING btree (id)
CREATE UNIQUE INDEX pk_buckets ON public.buckets USING btree (name)
CREATE UNIQUE INDEX pk_cluster_tags ON public.cluster_tags USING btree (cluster_id, key)
CREATE UNIQUE INDEX pk_clusters ON public.clusters USING btree (id)
CREATE UNIQUE INDEX pk_console_links ON public.console_links USING btree (sha256)
CREATE UNIQUE INDEX pk_console_sessions ON public.console_sessions USING btree (sha256)
CREATE UNIQUE INDEX pk_deleted_jobs ON public.deleted_jobs USING btree (cluster_id, job_id)
CREATE UNIQUE INDEX pk_deleted_places ON public.deleted_places USING btree (cluster_id, bucket, folder)
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
CREATE UNIQUE INDEX pk_notice_buckets ON public.notice_buckets USING btree (project_id, bucket, agency)
CREATE UNIQUE INDEX pk_notice_deliveries ON public.notice_deliveries USING btree (notice_id, target)
CREATE UNIQUE INDEX pk_notice_states ON public.notice_states USING btree (cluster_id, state)
CREATE UNIQUE INDEX pk_notice_target_states ON public.notice_target_states USING btree (target)
CREATE UNIQUE INDEX pk_notice_targets ON public.notice_targets USING btree (project_id, name)
CREATE UNIQUE INDEX pk_notices ON public.notices USING btree (id)
CREATE UNIQUE INDEX pk_places ON public.places USING btree (cluster_id, bucket, folder)
CREATE UNIQUE INDEX pk_projects ON public.projects USING btree (id)
CREATE UNIQUE INDEX pk_protections ON public.protections USING btree (id)
CREATE UNIQUE INDEX pk_removal_entries ON public.removal_entries USING btree (cluster_id, number)
CREATE UNIQUE INDEX pk_removals ON public.removals USING btree (id)
CREATE UNIQUE INDEX pk_removed_objects ON public.removed_objects USING btree (cluster_id, bucket, object)
CREATE UNIQUE INDEX pk_removed_of_jobs ON public.removed_of_jobs USING btree (job_id)
CREATE UNIQUE INDEX pk_retention_rules ON public.retention_rules USING btree (cluster_id, log)
CREATE UNIQUE INDEX pk_retentions ON public.retentions USING btree (cluster_id)
CREATE UNIQUE INDEX pk_segments ON public.segments USING btree (cluster_id, node, generation, start)
CREATE UNIQUE INDEX pk_store_requests ON public.store_requests USING btree (cluster_id, month, bucket, kind)
CREATE UNIQUE INDEX pk_tokens ON public.tokens USING btree (sha256)
CREATE UNIQUE INDEX pk_usage_days ON public.usage_days USING btree (cluster_id, day)
CREATE UNIQUE INDEX pk_users ON public.users USING btree (id)
CREATE UNIQUE INDEX pk_verifications ON public.verifications USING btree (cluster_id)
CREATE UNIQUE INDEX pk_workers ON public.workers USING btree (id)
CREATE UNIQUE INDEX uq_clusters_project_id_name ON public.clusters USING btree (project_id, name)
CREATE UNIQUE INDEX uq_job_warnings_job_id_key ON public.job_warnings USING btree (job_id, key)
CREATE UNIQUE INDEX uq_jobs_job_id ON public.jobs USING btree (job_id)
CREATE UNIQUE INDEX uq_manifests_cluster_id_number ON public.manifests USING btree (cluster_id, number)
CREATE UNIQUE INDEX uq_projects_name ON public.projects USING btree (name)
CREATE UNIQUE INDEX uq_users_name ON public.users USING btree (name)
