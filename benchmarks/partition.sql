-- Splits the records by month, in one transaction that keeps others out. Run on PostgreSQL 15; see docs/scale.md.
BEGIN;

-- A foreign key to `jobs` would need a unique job_id, which a table split by another column cannot promise.
ALTER TABLE job_nodes DROP CONSTRAINT fk_job_nodes_job_id;

ALTER TABLE jobs RENAME TO jobs_whole;
CREATE TABLE jobs (LIKE jobs_whole INCLUDING DEFAULTS) PARTITION BY RANGE (created_at);

DO $$
DECLARE
  month timestamptz;
  newest timestamptz;
BEGIN
  SELECT date_trunc('month', to_timestamp(min(created_at) / 1000)), to_timestamp(max(created_at) / 1000)
    INTO month, newest FROM jobs_whole;
  WHILE month <= newest + interval '1 month' LOOP  -- the next month's lies ready
    EXECUTE format(
      'CREATE TABLE jobs_%s PARTITION OF jobs FOR VALUES FROM (%s) TO (%s)',
      to_char(month, 'YYYYMM'),
      (extract(epoch FROM month) * 1000)::bigint,
      (extract(epoch FROM month + interval '1 month') * 1000)::bigint
    );
    month := month + interval '1 month';
  END LOOP;
END $$;

INSERT INTO jobs SELECT * FROM jobs_whole;
DROP TABLE jobs_whole;

ALTER TABLE jobs ADD PRIMARY KEY (id, created_at);
ALTER TABLE jobs ADD FOREIGN KEY (cluster_id) REFERENCES clusters (id) ON DELETE CASCADE;
CREATE INDEX ix_jobs_job_id ON jobs (job_id);
CREATE INDEX ix_jobs_page ON jobs (cluster_id, created_at, id);
CREATE INDEX ix_jobs_page_status ON jobs (cluster_id, status, created_at, id);
CREATE INDEX ix_jobs_manifest ON jobs (cluster_id, manifest_job_id);
CREATE INDEX ix_jobs_running ON jobs (job_id, cluster_id, attempt) WHERE status = 'RUNNING';

COMMIT;
ANALYZE jobs;
