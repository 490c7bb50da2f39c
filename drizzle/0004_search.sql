ALTER TABLE `users` ADD `job_count` bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE `users` ADD `jobs_revision` bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
UPDATE `users` SET `job_count` = (SELECT COUNT(*) FROM `jobs` WHERE `jobs`.`user_id` = `users`.`id`);--> statement-breakpoint
CREATE INDEX `jobs_schedules` ON `jobs` (`user_id`,`timezone`,`cron`) COMMENT 'Searches by zone and by occurrences (scheduledBetween.ts): the different schedules of a user''s jobs';--> statement-breakpoint
CREATE INDEX `jobs_flags` ON `jobs` (`user_id`,`enabled`,`success`) COMMENT 'Counts of searches by what hardly ever changes; no claim touches it';--> statement-breakpoint
CREATE INDEX `jobs_bounded` ON `jobs` (`user_id`,`starts_at`,`ends_at`) COMMENT 'Searches by occurrences (scheduledBetween.ts): the jobs with bounds of their own';
