-- Removes the records of March 2025, once benchmarks/partition.sql has split them; see docs/scale.md.
BEGIN;
DELETE FROM job_nodes USING jobs_202503 AS old WHERE job_nodes.job_id = old.job_id;
UPDATE job_counts SET jobs = job_counts.jobs - old.number
  FROM (SELECT cluster_id, status, count(*) AS number FROM jobs_202503 GROUP BY cluster_id, status) AS old
  WHERE job_counts.cluster_id = old.cluster_id AND job_counts.status = old.status;
DROP TABLE jobs_202503;
COMMIT;
