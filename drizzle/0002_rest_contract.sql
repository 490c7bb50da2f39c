CREATE TABLE `idempotency_keys` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`idempotency_key` varchar(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
	`fingerprint` varchar(64) NOT NULL,
	`resource_id` bigint unsigned NOT NULL,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `idempotency_keys_id` PRIMARY KEY(`id`),
	UNIQUE KEY `idempotency_keys_key` (`user_id`,`idempotency_key`) COMMENT 'One request a key'
);
--> statement-breakpoint
CREATE TABLE `job_stats` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`period` enum('minute','hour','day','week') NOT NULL,
	`start_at` datetime(6) NOT NULL,
	`end_at` datetime(6) NOT NULL,
	`runs` bigint NOT NULL DEFAULT 0,
	`failed` bigint NOT NULL DEFAULT 0,
	`job_count` bigint NOT NULL DEFAULT 0,
	`duration_count` bigint NOT NULL DEFAULT 0,
	`duration_sum_ms` bigint NOT NULL DEFAULT 0,
	`duration_min_ms` bigint NOT NULL DEFAULT 0,
	`duration_max_ms` bigint NOT NULL DEFAULT 0,
	`lag_count` bigint NOT NULL DEFAULT 0,
	`lag_sum_ms` bigint NOT NULL DEFAULT 0,
	`lag_min_ms` bigint NOT NULL DEFAULT 0,
	`lag_max_ms` bigint NOT NULL DEFAULT 0,
	`total_jobs` bigint NOT NULL DEFAULT 0,
	`enabled_jobs` bigint NOT NULL DEFAULT 0,
	`created_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	`updated_at` datetime(6) NOT NULL DEFAULT (UTC_TIMESTAMP(6)),
	CONSTRAINT `job_stats_id` PRIMARY KEY(`id`),
	UNIQUE KEY `job_stats_period` (`user_id`,`period`,`start_at`) COMMENT 'A user''s statistics by period, in the order of time; one row a period'
);
--> statement-breakpoint
CREATE TABLE `watermarks` (
	`name` varchar(64) NOT NULL,
	`reached_at` datetime(6) NOT NULL,
	CONSTRAINT `watermarks_name` PRIMARY KEY(`name`)
);
--> statement-breakpoint
ALTER TABLE `job_runs` ADD `cancel_requested_at` datetime(6);--> statement-breakpoint
ALTER TABLE `jobs` ADD `description` text DEFAULT ('') NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `timeout_seconds` int unsigned DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `max_retries` smallint unsigned DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `retry_delay_seconds` int unsigned DEFAULT 60 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `env` text DEFAULT ('{}') NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `working_directory` varchar(1024) DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `starts_at` datetime(6);--> statement-breakpoint
ALTER TABLE `jobs` ADD `ends_at` datetime(6);--> statement-breakpoint
ALTER TABLE `jobs` ADD `keep_runs` int unsigned DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `keep_days` int unsigned DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `revision` int unsigned DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `scheduled_for` datetime(6);--> statement-breakpoint
CREATE INDEX `idempotency_keys_age` ON `idempotency_keys` (`created_at`) COMMENT 'Expiry, oldest first';--> statement-breakpoint
CREATE INDEX `job_runs_started` ON `job_runs` (`user_id`,`started_at`) COMMENT 'Statistics (rollUp.ts): a user''s runs by their start';--> statement-breakpoint
CREATE INDEX `job_runs_finished` ON `job_runs` (`finished_at`,`user_id`,`started_at`) COMMENT 'Statistics (rollUp.ts): what has ended since the last roll-up';