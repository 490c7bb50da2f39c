-- A job's row leaves a page of an index when it becomes due, and comes back to it when its run is recorded. A full page is split
-- for that, and by default its halves are merged when one falls below 50 %, that is, with the next job that becomes due: 1,000
-- jobs of 1,000,000 split and merged 900 pages each time. Below 30 % they are worth merging.
ALTER TABLE `jobs` COMMENT = 'MERGE_THRESHOLD=30';
