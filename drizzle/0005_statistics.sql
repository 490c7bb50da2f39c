CREATE TABLE `job_stat_jobs` (
	`period` enum('minute','hour','day','week') NOT NULL,
	`start_at` datetime(6) NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`job_id` bigint unsigned NOT NULL,
	CONSTRAINT `job_stat_jobs_period_start_at_user_id_job_id_pk` PRIMARY KEY(`period`,`start_at`,`user_id`,`job_id`)
);
--> statement-breakpoint
DROP INDEX `job_runs_finished` ON `job_runs`;--> statement-breakpoint
CREATE INDEX `job_runs_changed` ON `job_runs` (`updated_at`,`user_id`,`started_at`) COMMENT 'Statistics (rollUp.ts): what was recorded since the last roll-up, whenever it ended';--> statement-breakpoint
CREATE INDEX `job_stats_age` ON `job_stats` (`period`,`start_at`) COMMENT 'Pruning, oldest first';