CREATE TABLE `run_blocks` (
	`job_id` bigint unsigned NOT NULL,
	`first_id` bigint unsigned NOT NULL,
	`last_id` bigint unsigned NOT NULL,
	`run_count` int NOT NULL,
	`succeeded_count` int NOT NULL,
	`started_from` datetime(6) NOT NULL,
	`started_until` datetime(6) NOT NULL,
	`finished_from` datetime(6) NOT NULL,
	`finished_until` datetime(6) NOT NULL,
	CONSTRAINT `run_blocks_job_id_first_id_pk` PRIMARY KEY(`job_id`,`first_id`)
);
