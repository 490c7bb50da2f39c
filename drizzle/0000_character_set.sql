-- Tables take the database's character set: names, commands and output may hold any Unicode text.
ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
