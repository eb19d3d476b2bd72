ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;

ALTER DATABASE CURRENT SET READ_COMMITTED_SNAPSHOT ON WITH NO_WAIT;

ALTER TABLE [history].[thing__r1] ADD [f] DECIMAL(9,2) NULL;

ALTER TABLE [history].[thing__r1] ALTER COLUMN [f] NVARCHAR(10) COLLATE Latin1_General_100_BIN2 NULL;

ALTER TABLE [staging].[thing__r1] ADD [f] DECIMAL(9,2) NULL;

ALTER TABLE [staging].[thing__r1] ALTER COLUMN [f] NVARCHAR(10) COLLATE Latin1_General_100_BIN2 NULL;

COMMIT TRANSACTION;

CREATE INDEX [by_key] ON [history].[past__r1] ([id]);

CREATE INDEX [report_by_day] ON [staging].[item__r2] ([day]);

CREATE INDEX [report_by_f] ON [staging].[thing__r1] ([f]);

CREATE INDEX [unit] ON [reporting].[report__r1] ([day]);

CREATE OR ALTER FUNCTION [history].[past_at] (@t DATETIME2(6)) RETURNS TABLE AS RETURN SELECT [id], [size], [note], [_source] FROM (SELECT e.[id], e.[size], e.[note], e.[_source] FROM [history].[past__r1] AS e WHERE e.[_occurred_at] <= @t AND e.[_deleted] = 0 AND NOT EXISTS (SELECT 1 FROM [history].[past__r1] AS n WHERE n.[_key_hash] = e.[_key_hash] AND n.[_rank] > e.[_rank] AND n.[_occurred_at] <= @t) AND NOT EXISTS (SELECT 1 FROM [headwater].[sweeps] AS s WHERE s.entity = N'?' AND s.revision = 1 AND s.source = e.[_source] AND s.bucket = CAST(SUBSTRING(e.[_key_hash], 1, 1) AS INT) AND s.position > e.[_rank] AND s.occurred_at <= @t)) AS live;

CREATE OR ALTER FUNCTION [history].[thing_at] (@t DATETIME2(6)) RETURNS TABLE AS RETURN SELECT [id], [f], [note], [_source] FROM (SELECT e.[id], e.[f], e.[note], e.[_source] FROM [history].[thing__r1] AS e WHERE e.[_occurred_at] <= @t AND e.[_deleted] = 0 AND NOT EXISTS (SELECT 1 FROM [history].[thing__r1] AS n WHERE n.[_key_hash] = e.[_key_hash] AND n.[_rank] > e.[_rank] AND n.[_occurred_at] <= @t) AND NOT EXISTS (SELECT 1 FROM [headwater].[sweeps] AS s WHERE s.entity = N'?' AND s.revision = 1 AND s.source = e.[_source] AND s.bucket = CAST(SUBSTRING(e.[_key_hash], 1, 1) AS INT) AND s.position > e.[_rank] AND s.occurred_at <= @t)) AS live;

CREATE OR ALTER FUNCTION [history].[thing_at] (@t DATETIME2(6)) RETURNS TABLE AS RETURN SELECT [id], [note], [_source] FROM (SELECT e.[id], e.[note], e.[_source] FROM [history].[thing__r1] AS e WHERE e.[_occurred_at] <= @t AND e.[_deleted] = 0 AND NOT EXISTS (SELECT 1 FROM [history].[thing__r1] AS n WHERE n.[_key_hash] = e.[_key_hash] AND n.[_rank] > e.[_rank] AND n.[_occurred_at] <= @t) AND NOT EXISTS (SELECT 1 FROM [headwater].[sweeps] AS s WHERE s.entity = N'?' AND s.revision = 1 AND s.source = e.[_source] AND s.bucket = CAST(SUBSTRING(e.[_key_hash], 1, 1) AS INT) AND s.position > e.[_rank] AND s.occurred_at <= @t)) AS live;

CREATE OR ALTER VIEW [headwater].[dead_letter_summary] AS SELECT entity, stage, cause, state, letters, oldest, newest, refreshed_at FROM [headwater].[dead_letters];

CREATE OR ALTER VIEW [history].[past] AS SELECT valid_from, valid_to, operation, event_id, ended_by, ended_by_event_id, [id], [size], [note], [_source] FROM (SELECT [id], [size], [note], [_source], _gone, _occurred_at AS valid_from, LAG(_occurred_at, 1, CAST(N'?' AS DATETIME2(6))) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS valid_to, _operation AS operation, _event_id AS event_id, LAG(_operation) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by, LAG(_event_id) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by_event_id FROM (SELECT ended.*, LEAD(_gone, 1, 1) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS _before, LEAD([size]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_size], LEAD([note]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_note] FROM (SELECT facts.*, MIN(_occurred_at) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _ends FROM (SELECT [id], _key_hash, _source, [size], [note], _rank, _occurred_at, _operation, _event_id, CASE WHEN _deleted = 1 THEN 1 ELSE 0 END AS _gone FROM [history].[past__r1] UNION ALL SELECT k.[id], k._key_hash, k._source, CAST(NULL AS INT) AS [size], CAST(NULL AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 AS [note], s.position, s.occurred_at, 'sweep', s.event_id, 1 FROM (SELECT DISTINCT [id], _key_hash, _source FROM [history].[past__r1]) AS k INNER JOIN [headwater].[sweeps] AS s ON s.entity = N'?' AND s.revision = 1 AND s.source = k.[_source] AND s.bucket = CAST(SUBSTRING(k.[_key_hash], 1, 1) AS INT)) AS facts) AS ended WHERE _ends IS NULL OR _ends > _occurred_at) AS held WHERE _gone <> _before OR (_gone = 0 AND NOT (EXISTS (SELECT [size], [note], DATALENGTH([note]) INTERSECT SELECT [_was_size], [_was_note], DATALENGTH([_was_note]))))) AS versions WHERE _gone = 0;

CREATE OR ALTER VIEW [history].[thing] AS SELECT valid_from, valid_to, operation, event_id, ended_by, ended_by_event_id, [id], [f], [note], [_source] FROM (SELECT [id], [f], [note], [_source], _gone, _occurred_at AS valid_from, LAG(_occurred_at, 1, CAST(N'?' AS DATETIME2(6))) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS valid_to, _operation AS operation, _event_id AS event_id, LAG(_operation) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by, LAG(_event_id) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by_event_id FROM (SELECT ended.*, LEAD(_gone, 1, 1) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS _before, LEAD([f]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_f], LEAD([note]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_note] FROM (SELECT facts.*, MIN(_occurred_at) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _ends FROM (SELECT [id], _key_hash, _source, [f], [note], _rank, _occurred_at, _operation, _event_id, CASE WHEN _deleted = 1 THEN 1 ELSE 0 END AS _gone FROM [history].[thing__r1] UNION ALL SELECT k.[id], k._key_hash, k._source, CAST(NULL AS DECIMAL(9,2)) AS [f], CAST(NULL AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 AS [note], s.position, s.occurred_at, 'sweep', s.event_id, 1 FROM (SELECT DISTINCT [id], _key_hash, _source FROM [history].[thing__r1]) AS k INNER JOIN [headwater].[sweeps] AS s ON s.entity = N'?' AND s.revision = 1 AND s.source = k.[_source] AND s.bucket = CAST(SUBSTRING(k.[_key_hash], 1, 1) AS INT)) AS facts) AS ended WHERE _ends IS NULL OR _ends > _occurred_at) AS held WHERE _gone <> _before OR (_gone = 0 AND NOT (EXISTS (SELECT [f], [note], DATALENGTH([note]) INTERSECT SELECT [_was_f], [_was_note], DATALENGTH([_was_note]))))) AS versions WHERE _gone = 0;

CREATE OR ALTER VIEW [history].[thing] AS SELECT valid_from, valid_to, operation, event_id, ended_by, ended_by_event_id, [id], [f], [note], [_source] FROM (SELECT [id], [f], [note], [_source], _gone, _occurred_at AS valid_from, LAG(_occurred_at, 1, CAST(N'?' AS DATETIME2(6))) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS valid_to, _operation AS operation, _event_id AS event_id, LAG(_operation) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by, LAG(_event_id) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by_event_id FROM (SELECT ended.*, LEAD(_gone, 1, 1) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS _before, LEAD([f]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_f], LEAD([note]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_note] FROM (SELECT facts.*, MIN(_occurred_at) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _ends FROM (SELECT [id], _key_hash, _source, [f], [note], _rank, _occurred_at, _operation, _event_id, CASE WHEN _deleted = 1 THEN 1 ELSE 0 END AS _gone FROM [history].[thing__r1] UNION ALL SELECT k.[id], k._key_hash, k._source, CAST(NULL AS NVARCHAR(10)) COLLATE Latin1_General_100_BIN2 AS [f], CAST(NULL AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 AS [note], s.position, s.occurred_at, 'sweep', s.event_id, 1 FROM (SELECT DISTINCT [id], _key_hash, _source FROM [history].[thing__r1]) AS k INNER JOIN [headwater].[sweeps] AS s ON s.entity = N'?' AND s.revision = 1 AND s.source = k.[_source] AND s.bucket = CAST(SUBSTRING(k.[_key_hash], 1, 1) AS INT)) AS facts) AS ended WHERE _ends IS NULL OR _ends > _occurred_at) AS held WHERE _gone <> _before OR (_gone = 0 AND NOT (EXISTS (SELECT [f], [note], DATALENGTH([f]), DATALENGTH([note]) INTERSECT SELECT [_was_f], [_was_note], DATALENGTH([_was_f]), DATALENGTH([_was_note]))))) AS versions WHERE _gone = 0;

CREATE OR ALTER VIEW [history].[thing] AS SELECT valid_from, valid_to, operation, event_id, ended_by, ended_by_event_id, [id], [f], [note], [_source] FROM (SELECT [id], [f], [note], [_source], _gone, _occurred_at AS valid_from, LAG(_occurred_at, 1, CAST(N'?' AS DATETIME2(6))) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS valid_to, _operation AS operation, _event_id AS event_id, LAG(_operation) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by, LAG(_event_id) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by_event_id FROM (SELECT ended.*, LEAD(_gone, 1, 1) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS _before, LEAD([f]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_f], LEAD([note]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_note] FROM (SELECT facts.*, MIN(_occurred_at) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _ends FROM (SELECT [id], _key_hash, _source, [f], [note], _rank, _occurred_at, _operation, _event_id, CASE WHEN _deleted = 1 THEN 1 ELSE 0 END AS _gone FROM [history].[thing__r1] UNION ALL SELECT k.[id], k._key_hash, k._source, CAST(NULL AS NVARCHAR(6)) COLLATE Latin1_General_100_BIN2 AS [f], CAST(NULL AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 AS [note], s.position, s.occurred_at, 'sweep', s.event_id, 1 FROM (SELECT DISTINCT [id], _key_hash, _source FROM [history].[thing__r1]) AS k INNER JOIN [headwater].[sweeps] AS s ON s.entity = N'?' AND s.revision = 1 AND s.source = k.[_source] AND s.bucket = CAST(SUBSTRING(k.[_key_hash], 1, 1) AS INT)) AS facts) AS ended WHERE _ends IS NULL OR _ends > _occurred_at) AS held WHERE _gone <> _before OR (_gone = 0 AND NOT (EXISTS (SELECT [f], [note], DATALENGTH([f]), DATALENGTH([note]) INTERSECT SELECT [_was_f], [_was_note], DATALENGTH([_was_f]), DATALENGTH([_was_note]))))) AS versions WHERE _gone = 0;

CREATE OR ALTER VIEW [history].[thing] AS SELECT valid_from, valid_to, operation, event_id, ended_by, ended_by_event_id, [id], [note], [_source] FROM (SELECT [id], [note], [_source], _gone, _occurred_at AS valid_from, LAG(_occurred_at, 1, CAST(N'?' AS DATETIME2(6))) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS valid_to, _operation AS operation, _event_id AS event_id, LAG(_operation) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by, LAG(_event_id) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS ended_by_event_id FROM (SELECT ended.*, LEAD(_gone, 1, 1) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS _before, LEAD([note]) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC) AS [_was_note] FROM (SELECT facts.*, MIN(_occurred_at) OVER (PARTITION BY [id], [_key_hash] ORDER BY _rank DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _ends FROM (SELECT [id], _key_hash, _source, [note], _rank, _occurred_at, _operation, _event_id, CASE WHEN _deleted = 1 THEN 1 ELSE 0 END AS _gone FROM [history].[thing__r1] UNION ALL SELECT k.[id], k._key_hash, k._source, CAST(NULL AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 AS [note], s.position, s.occurred_at, 'sweep', s.event_id, 1 FROM (SELECT DISTINCT [id], _key_hash, _source FROM [history].[thing__r1]) AS k INNER JOIN [headwater].[sweeps] AS s ON s.entity = N'?' AND s.revision = 1 AND s.source = k.[_source] AND s.bucket = CAST(SUBSTRING(k.[_key_hash], 1, 1) AS INT)) AS facts) AS ended WHERE _ends IS NULL OR _ends > _occurred_at) AS held WHERE _gone <> _before OR (_gone = 0 AND NOT (EXISTS (SELECT [note], DATALENGTH([note]) INTERSECT SELECT [_was_note], DATALENGTH([_was_note]))))) AS versions WHERE _gone = 0;

CREATE OR ALTER VIEW [reporting].[_freshness] AS SELECT r.name AS report, r.event_time, r.checkpoints, r.row_count AS rows, r.refreshed_at, COALESCE(w.waiting, 0) AS waiting, CASE WHEN w.waiting > 0 THEN DATEDIFF(SECOND, r.refreshed_at, SYSUTCDATETIME()) ELSE 0 END AS lag_seconds, r.problem FROM [headwater].[reports] AS r LEFT JOIN (SELECT name, SUM(waiting) AS waiting FROM (SELECT '' AS name, 0 AS waiting) AS counted GROUP BY name) AS w ON w.name = r.name COLLATE Latin1_General_100_BIN2 WHERE r.state = 'live';

CREATE OR ALTER VIEW [reporting].[_freshness] AS SELECT r.name AS report, r.event_time, r.checkpoints, r.row_count AS rows, r.refreshed_at, COALESCE(w.waiting, 0) AS waiting, CASE WHEN w.waiting > 0 THEN DATEDIFF(SECOND, r.refreshed_at, SYSUTCDATETIME()) ELSE 0 END AS lag_seconds, r.problem FROM [headwater].[reports] AS r LEFT JOIN (SELECT name, SUM(waiting) AS waiting FROM (SELECT 'report' AS name, COUNT(*) AS waiting FROM [headwater].[pending_report__r1__1] UNION ALL SELECT 'report' AS name, COUNT(*) AS waiting FROM [headwater].[pending_report__r1__2]) AS counted GROUP BY name) AS w ON w.name = r.name COLLATE Latin1_General_100_BIN2 WHERE r.state = 'live';

CREATE OR ALTER VIEW [reporting].[often] AS SELECT * FROM [reporting].[often__r1];

CREATE OR ALTER VIEW [reporting].[report] AS SELECT * FROM [reporting].[report__r1];

CREATE OR ALTER VIEW [staging].[chosen] AS SELECT [id], [size], [_source] FROM (SELECT [id], [size], [_source], ROW_NUMBER() OVER (PARTITION BY [id], DATALENGTH([id]) ORDER BY CASE [_source] WHEN N'?' THEN 0 WHEN N'?' THEN 1 ELSE 2 END, [_source]) AS [_place] FROM [staging].[chosen__r1] WHERE [_deleted] = 0) AS ranked WHERE [_place] = 1;

CREATE OR ALTER VIEW [staging].[every] AS SELECT [id], [a_string], [an_int], [a_long], [a_float], [a_double], [a_boolean], [some_bytes], [an_enum], [a_decimal], [a_date], [time_millis], [time_micros], [timestamp_millis], [timestamp_micros], [local_millis], [local_micros], [a_json], [_source] FROM [staging].[every__r1] WHERE [_deleted] = 0;

CREATE OR ALTER VIEW [staging].[item] AS SELECT [id], [size], [label], [price], [state], [active], [day], [at], [_source] FROM [staging].[item__r1] WHERE [_deleted] = 0;

CREATE OR ALTER VIEW [staging].[item] AS SELECT [id], [size], [label], [price], [state], [active], [day], [at], [_source] FROM [staging].[item__r2] WHERE [_deleted] = 0;

CREATE OR ALTER VIEW [staging].[item__as_of_then] AS SELECT [id], [size], [label], [price], [state], [active], [day], [at], [_source] FROM [staging].[item__r3] WHERE [_deleted] = 0;

CREATE OR ALTER VIEW [staging].[past] AS SELECT [id], [size], [note], [_source] FROM [staging].[past__r1] WHERE [_deleted] = 0;

CREATE OR ALTER VIEW [staging].[thing] AS SELECT [id], [f], [note], [_source] FROM [staging].[thing__r1] WHERE [_deleted] = 0;

CREATE OR ALTER VIEW [staging].[thing] AS SELECT [id], [note], [_source] FROM [staging].[thing__r1] WHERE [_deleted] = 0;

CREATE TABLE [headwater].[checkpoints] ( reader VARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, stream VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, shard VARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, sequence VARCHAR(129) COLLATE Latin1_General_100_BIN2 NOT NULL, PRIMARY KEY (reader, stream, shard));

CREATE TABLE [headwater].[dead_letters] ( entity VARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, stage VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL, cause VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL, state VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL, letters INT NOT NULL, oldest DATETIME2(6) NOT NULL, newest DATETIME2(6) NOT NULL, refreshed_at DATETIME2(6) NOT NULL, PRIMARY KEY (entity, stage, cause, state));

CREATE TABLE [headwater].[floors] ( entity VARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, revision INT NOT NULL, source NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, bucket INT NOT NULL, position VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, PRIMARY KEY (entity, revision, source, bucket));

CREATE TABLE [headwater].[pending_report__r1__1] ([_id] BIGINT IDENTITY NOT NULL PRIMARY KEY, [_key_hash] BINARY(16) NOT NULL, [_existed] BIT NOT NULL, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL);

CREATE TABLE [headwater].[pending_report__r1__2] ([_id] BIGINT IDENTITY NOT NULL PRIMARY KEY, [_key_hash] BINARY(16) NOT NULL, [_existed] BIT NOT NULL, [day] DATE NULL, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [label] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL);

CREATE TABLE [headwater].[reports] ( name VARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, number INT NOT NULL, state VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL, definition NVARCHAR(MAX) NOT NULL, sources NVARCHAR(MAX) NOT NULL, minutes INT NULL, row_count BIGINT NOT NULL, event_time VARCHAR(40) NULL, checkpoints NVARCHAR(MAX) NOT NULL, refreshed_at DATETIME2(6) NULL, problem NVARCHAR(MAX) NULL, PRIMARY KEY (name, number));

CREATE TABLE [headwater].[revisions] ( entity VARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, number INT NOT NULL, state VARCHAR(16) COLLATE Latin1_General_100_BIN2 NOT NULL, schema_version INT NOT NULL, schema_fingerprint BINARY(8) NOT NULL, created_at VARCHAR(40) COLLATE Latin1_General_100_BIN2 NOT NULL, as_of VARCHAR(128) COLLATE Latin1_General_100_BIN2 NULL, PRIMARY KEY (entity, number));

CREATE TABLE [headwater].[sweeps] ( entity VARCHAR(128) COLLATE Latin1_General_100_BIN2 NOT NULL, revision INT NOT NULL, source NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, bucket INT NOT NULL, position VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, occurred_at DATETIME2(6) NOT NULL, event_id UNIQUEIDENTIFIER NOT NULL, CONSTRAINT [sweeps_key] PRIMARY KEY NONCLUSTERED (entity, revision, source, bucket, position, occurred_at));

CREATE TABLE [headwater].[views] ( name VARCHAR(256) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY, definition NVARCHAR(MAX) NOT NULL);

CREATE TABLE [history].[past__r1] ([_key_hash] BINARY(16) NOT NULL, [id] NVARCHAR(80) COLLATE Latin1_General_100_BIN2 NULL, [size] INT NULL, [note] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_operation] VARCHAR(8) COLLATE Latin1_General_100_BIN2 NOT NULL, [_applied_at] DATETIME2(6) NOT NULL, PRIMARY KEY ([_key_hash], [_rank]));

CREATE TABLE [history].[thing__r1] ([_key_hash] BINARY(16) NOT NULL, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [f] NVARCHAR(6) COLLATE Latin1_General_100_BIN2 NULL, [note] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_operation] VARCHAR(8) COLLATE Latin1_General_100_BIN2 NOT NULL, [_applied_at] DATETIME2(6) NOT NULL, PRIMARY KEY ([_key_hash], [_rank]));

CREATE TABLE [history].[thing__r1] ([_key_hash] BINARY(16) NOT NULL, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [note] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_operation] VARCHAR(8) COLLATE Latin1_General_100_BIN2 NOT NULL, [_applied_at] DATETIME2(6) NOT NULL, PRIMARY KEY ([_key_hash], [_rank]));

CREATE TABLE [staging].[chosen__r1] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [size] INT NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TABLE [staging].[every__r1] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] UNIQUEIDENTIFIER NULL, [a_string] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [an_int] INT NULL, [a_long] BIGINT NULL, [a_float] REAL NULL, [a_double] FLOAT(53) NULL, [a_boolean] BIT NULL, [some_bytes] VARBINARY(MAX) NULL, [an_enum] NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL, [a_decimal] DECIMAL(38,10) NULL, [a_date] DATE NULL, [time_millis] TIME(3) NULL, [time_micros] TIME(6) NULL, [timestamp_millis] DATETIME2(3) NULL, [timestamp_micros] DATETIME2(6) NULL, [local_millis] DATETIME2(3) NULL, [local_micros] DATETIME2(6) NULL, [a_json] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TABLE [staging].[item__r1] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [size] INT NULL, [label] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [price] DECIMAL(12,2) NULL, [state] NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL, [active] BIT NULL, [day] DATE NULL, [at] DATETIME2(6) NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TABLE [staging].[item__r2] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [size] INT NULL, [label] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [price] DECIMAL(12,2) NULL, [state] NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL, [active] BIT NULL, [day] DATE NULL, [at] DATETIME2(6) NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TABLE [staging].[item__r3] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [size] INT NULL, [label] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [price] DECIMAL(12,2) NULL, [state] NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL, [active] BIT NULL, [day] DATE NULL, [at] DATETIME2(6) NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TABLE [staging].[past__r1] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] NVARCHAR(80) COLLATE Latin1_General_100_BIN2 NULL, [size] INT NULL, [note] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TABLE [staging].[thing__r1] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [f] NVARCHAR(6) COLLATE Latin1_General_100_BIN2 NULL, [note] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TABLE [staging].[thing__r1] ([_key_hash] BINARY(16) NOT NULL PRIMARY KEY, [id] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [note] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NOT NULL, [_event_id] UNIQUEIDENTIFIER NOT NULL, [_deleted] BIT NOT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NOT NULL, [_occurred_at] DATETIME2(6) NOT NULL, [_schema_version] INT NOT NULL, [_applied_at] DATETIME2(6) NOT NULL);

CREATE TRIGGER [staging].[pending_report__r1__1_insert] ON [staging].[chosen__r1] AFTER INSERT AS BEGIN SET NOCOUNT ON; INSERT INTO [headwater].[pending_report__r1__1] ([_key_hash], [_existed]) SELECT [_key_hash], 0 FROM inserted WHERE [_deleted] = 0; END;

CREATE TRIGGER [staging].[pending_report__r1__1_update] ON [staging].[chosen__r1] AFTER UPDATE AS BEGIN SET NOCOUNT ON; INSERT INTO [headwater].[pending_report__r1__1] ([_key_hash], [_existed], [id]) SELECT [_key_hash], CASE WHEN [_deleted] = 0 THEN 1 ELSE 0 END, [id] FROM deleted; END;

CREATE TRIGGER [staging].[pending_report__r1__2_insert] ON [staging].[item__r2] AFTER INSERT AS BEGIN SET NOCOUNT ON; INSERT INTO [headwater].[pending_report__r1__2] ([_key_hash], [_existed]) SELECT [_key_hash], 0 FROM inserted WHERE [_deleted] = 0; END;

CREATE TRIGGER [staging].[pending_report__r1__2_update] ON [staging].[item__r2] AFTER UPDATE AS BEGIN SET NOCOUNT ON; INSERT INTO [headwater].[pending_report__r1__2] ([_key_hash], [_existed], [day], [id], [label]) SELECT [_key_hash], CASE WHEN [_deleted] = 0 THEN 1 ELSE 0 END, [day], [id], [label] FROM deleted; END;

DECLARE @changed0 BIGINT, @changed1 BIGINT; DELETE t FROM [reporting].[report__r1] AS t INNER JOIN [#report_units] AS [units] ON ([t].[label]) = [units].[label] AND ([t].[day]) = [units].[day]; SET @changed0 = @@ROWCOUNT; INSERT INTO [reporting].[report__r1] ([label], [day], [items], [size]) SELECT [i].[label] AS [label], [i].[day] AS [day], COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [#report_units] AS [units] CROSS JOIN [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] WHERE ([i].[label]) = [units].[label] AND ([i].[day]) = [units].[day] GROUP BY [i].[label], [i].[day]; SET @changed1 = @@ROWCOUNT; SELECT @changed0, @changed1;

DECLARE @changed0 BIGINT, @changed1 BIGINT; DELETE t FROM [reporting].[report__r1] AS t INNER JOIN [#report_units] AS [units] ON ([t].[label]) = [units].[label] AND ([t].[day]) IS NULL AND [units].[day] IS NULL; SET @changed0 = @@ROWCOUNT; INSERT INTO [reporting].[report__r1] ([label], [day], [items], [size]) SELECT [i].[label] AS [label], [i].[day] AS [day], COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [#report_units] AS [units] CROSS JOIN [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] WHERE ([i].[label]) = [units].[label] AND ([i].[day]) IS NULL AND [units].[day] IS NULL GROUP BY [i].[label], [i].[day]; SET @changed1 = @@ROWCOUNT; SELECT @changed0, @changed1;

DECLARE @changed0 BIGINT; INSERT INTO [reporting].[often__r1] ([label], [day], [items], [size]) SELECT [i].[label] AS [label], [i].[day] AS [day], DAY(CAST('?' AS DATETIME2(6))) + COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] GROUP BY [i].[label], [i].[day]; SET @changed0 = @@ROWCOUNT; SELECT @changed0;

DECLARE @changed0 BIGINT; INSERT INTO [reporting].[report__r1] ([label], [day], [items], [size]) SELECT [i].[label] AS [label], [i].[day] AS [day], COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] GROUP BY [i].[label], [i].[day]; SET @changed0 = @@ROWCOUNT; SELECT @changed0;

DECLARE @now DATETIME2(6) = N'?', @loaded INT, @changed INT, @equal INT; CREATE TABLE #rows ([_key_hash] BINARY(16) NULL, [id] UNIQUEIDENTIFIER NULL, [a_string] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [an_int] INT NULL, [a_long] BIGINT NULL, [a_float] REAL NULL, [a_double] FLOAT(53) NULL, [a_boolean] BIT NULL, [some_bytes] VARBINARY(MAX) NULL, [an_enum] NVARCHAR(255) COLLATE Latin1_General_100_BIN2 NULL, [a_decimal] DECIMAL(38,10) NULL, [a_date] DATE NULL, [time_millis] TIME(3) NULL, [time_micros] TIME(6) NULL, [timestamp_millis] DATETIME2(3) NULL, [timestamp_micros] DATETIME2(6) NULL, [local_millis] DATETIME2(3) NULL, [local_micros] DATETIME2(6) NULL, [a_json] NVARCHAR(MAX) COLLATE Latin1_General_100_BIN2 NULL, [_rank] VARCHAR(400) COLLATE Latin1_General_100_BIN2 NULL, [_event_id] UNIQUEIDENTIFIER NULL, [_deleted] BIT NULL, [_source] NVARCHAR(300) COLLATE Latin1_General_100_BIN2 NULL, [_occurred_at] DATETIME2(6) NULL, [_schema_version] INT NULL); INSERT INTO #rows ([_key_hash], [id], [a_string], [an_int], [a_long], [a_float], [a_double], [a_boolean], [some_bytes], [an_enum], [a_decimal], [a_date], [time_millis], [time_micros], [timestamp_millis], [timestamp_micros], [local_millis], [local_micros], [a_json], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version]) VALUES (?); SET @loaded = @@ROWCOUNT; UPDATE r SET [_deleted] = 1 FROM #rows AS r INNER JOIN [headwater].[floors] AS f ON f.entity = N'?' AND f.revision = 1 AND f.source = r.[_source] AND f.bucket = CAST(SUBSTRING(r.[_key_hash], 1, 1) AS INT) WHERE r.[_rank] < f.position; INSERT INTO [staging].[every__r1] ([_key_hash], [id], [a_string], [an_int], [a_long], [a_float], [a_double], [a_boolean], [some_bytes], [an_enum], [a_decimal], [a_date], [time_millis], [time_micros], [timestamp_millis], [timestamp_micros], [local_millis], [local_micros], [a_json], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version], [_applied_at]) SELECT s.[_key_hash], s.[id], s.[a_string], s.[an_int], s.[a_long], s.[a_float], s.[a_double], s.[a_boolean], s.[some_bytes], s.[an_enum], s.[a_decimal], s.[a_date], s.[time_millis], s.[time_micros], s.[timestamp_millis], s.[timestamp_micros], s.[local_millis], s.[local_micros], s.[a_json], s.[_rank], s.[_event_id], s.[_deleted], s.[_source], s.[_occurred_at], s.[_schema_version], @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM [staging].[every__r1] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[_key_hash] = s.[_key_hash]); SET @changed = @@ROWCOUNT; SET @equal = @loaded; IF @changed < @loaded BEGIN UPDATE t SET t.[id] = s.[id], t.[a_string] = s.[a_string], t.[an_int] = s.[an_int], t.[a_long] = s.[a_long], t.[a_float] = s.[a_float], t.[a_double] = s.[a_double], t.[a_boolean] = s.[a_boolean], t.[some_bytes] = s.[some_bytes], t.[an_enum] = s.[an_enum], t.[a_decimal] = s.[a_decimal], t.[a_date] = s.[a_date], t.[time_millis] = s.[time_millis], t.[time_micros] = s.[time_micros], t.[timestamp_millis] = s.[timestamp_millis], t.[timestamp_micros] = s.[timestamp_micros], t.[local_millis] = s.[local_millis], t.[local_micros] = s.[local_micros], t.[a_json] = s.[a_json], t.[_rank] = s.[_rank], t.[_event_id] = s.[_event_id], t.[_deleted] = s.[_deleted], t.[_source] = s.[_source], t.[_occurred_at] = s.[_occurred_at], t.[_schema_version] = s.[_schema_version], t.[_applied_at] = @now FROM [staging].[every__r1] AS t WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] < s.[_rank]; SET @changed = @changed + @@ROWCOUNT; IF @changed < @loaded SELECT @equal = COUNT(*) FROM #rows AS s INNER JOIN [staging].[every__r1] AS t ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] = s.[_rank]; END; DROP TABLE #rows; SELECT @loaded AS loaded, @changed AS changed, @equal AS equal;

DECLARE @now DATETIME2(6) = N'?', @loaded INT, @changed INT, @equal INT; DECLARE @prefix VARCHAR(400) = %s, @_deleted BIT = %s, @_source NVARCHAR(300) = %s, @_schema_version INT = %s, @json NVARCHAR(MAX); SET @loaded = 0; SET @json = %s; SELECT CAST([_key_hash] AS BINARY(16)) AS [_key_hash], [id] COLLATE Latin1_General_100_BIN2 AS [id], [size], @prefix + [_rank] COLLATE Latin1_General_100_BIN2 AS [_rank], [_event_id], @_deleted AS [_deleted], @_source COLLATE Latin1_General_100_BIN2 AS [_source], [_occurred_at], @_schema_version AS [_schema_version] INTO #rows FROM OPENJSON(@json) WITH ([_key_hash] UNIQUEIDENTIFIER '$[0]', [id] NVARCHAR(MAX) '$[1]', [size] INT '$[2]', [_rank] VARCHAR(400) '$[3]', [_event_id] UNIQUEIDENTIFIER '$[4]', [_occurred_at] DATETIME2(6) '$[5]'); SET @loaded = @loaded + @@ROWCOUNT; UPDATE r SET [_deleted] = 1 FROM #rows AS r INNER JOIN [headwater].[floors] AS f ON f.entity = N'?' AND f.revision = 1 AND f.source = r.[_source] AND f.bucket = CAST(SUBSTRING(r.[_key_hash], 1, 1) AS INT) WHERE r.[_rank] < f.position; INSERT INTO [staging].[chosen__r1] ([_key_hash], [id], [size], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version], [_applied_at]) SELECT s.[_key_hash], s.[id], s.[size], s.[_rank], s.[_event_id], s.[_deleted], s.[_source], s.[_occurred_at], s.[_schema_version], @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM [staging].[chosen__r1] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[_key_hash] = s.[_key_hash]); SET @changed = @@ROWCOUNT; SET @equal = @loaded; IF @changed < @loaded BEGIN UPDATE t SET t.[id] = s.[id], t.[size] = s.[size], t.[_rank] = s.[_rank], t.[_event_id] = s.[_event_id], t.[_deleted] = s.[_deleted], t.[_source] = s.[_source], t.[_occurred_at] = s.[_occurred_at], t.[_schema_version] = s.[_schema_version], t.[_applied_at] = @now FROM [staging].[chosen__r1] AS t WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] < s.[_rank]; SET @changed = @changed + @@ROWCOUNT; IF @changed < @loaded SELECT @equal = COUNT(*) FROM #rows AS s INNER JOIN [staging].[chosen__r1] AS t ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] = s.[_rank]; END; DROP TABLE #rows; SELECT @loaded AS loaded, @changed AS changed, @equal AS equal;

DECLARE @now DATETIME2(6) = N'?', @loaded INT, @changed INT, @equal INT; DECLARE @prefix VARCHAR(400) = %s, @_deleted BIT = %s, @_source NVARCHAR(300) = %s, @_schema_version INT = %s, @json NVARCHAR(MAX); SET @loaded = 0; SET @json = %s; SELECT CAST([_key_hash] AS BINARY(16)) AS [_key_hash], [id] COLLATE Latin1_General_100_BIN2 AS [id], [size], [label] COLLATE Latin1_General_100_BIN2 AS [label], [price], [state] COLLATE Latin1_General_100_BIN2 AS [state], [active], [day], [at], @prefix + [_rank] COLLATE Latin1_General_100_BIN2 AS [_rank], [_event_id], @_deleted AS [_deleted], @_source COLLATE Latin1_General_100_BIN2 AS [_source], [_occurred_at], @_schema_version AS [_schema_version] INTO #rows FROM OPENJSON(@json) WITH ([_key_hash] UNIQUEIDENTIFIER '$[0]', [id] NVARCHAR(MAX) '$[1]', [size] INT '$[2]', [label] NVARCHAR(MAX) '$[3]', [price] DECIMAL(12,2) '$[4]', [state] NVARCHAR(255) '$[5]', [active] BIT '$[6]', [day] DATE '$[7]', [at] DATETIME2(6) '$[8]', [_rank] VARCHAR(400) '$[9]', [_event_id] UNIQUEIDENTIFIER '$[10]', [_occurred_at] DATETIME2(6) '$[11]'); SET @loaded = @loaded + @@ROWCOUNT; UPDATE r SET [_deleted] = 1 FROM #rows AS r INNER JOIN [headwater].[floors] AS f ON f.entity = N'?' AND f.revision = 1 AND f.source = r.[_source] AND f.bucket = CAST(SUBSTRING(r.[_key_hash], 1, 1) AS INT) WHERE r.[_rank] < f.position; INSERT INTO [staging].[item__r1] ([_key_hash], [id], [size], [label], [price], [state], [active], [day], [at], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version], [_applied_at]) SELECT s.[_key_hash], s.[id], s.[size], s.[label], s.[price], s.[state], s.[active], s.[day], s.[at], s.[_rank], s.[_event_id], s.[_deleted], s.[_source], s.[_occurred_at], s.[_schema_version], @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM [staging].[item__r1] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[_key_hash] = s.[_key_hash]); SET @changed = @@ROWCOUNT; SET @equal = @loaded; IF @changed < @loaded BEGIN UPDATE t SET t.[id] = s.[id], t.[size] = s.[size], t.[label] = s.[label], t.[price] = s.[price], t.[state] = s.[state], t.[active] = s.[active], t.[day] = s.[day], t.[at] = s.[at], t.[_rank] = s.[_rank], t.[_event_id] = s.[_event_id], t.[_deleted] = s.[_deleted], t.[_source] = s.[_source], t.[_occurred_at] = s.[_occurred_at], t.[_schema_version] = s.[_schema_version], t.[_applied_at] = @now FROM [staging].[item__r1] AS t WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] < s.[_rank]; SET @changed = @changed + @@ROWCOUNT; IF @changed < @loaded SELECT @equal = COUNT(*) FROM #rows AS s INNER JOIN [staging].[item__r1] AS t ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] = s.[_rank]; END; DROP TABLE #rows; SELECT @loaded AS loaded, @changed AS changed, @equal AS equal;

DECLARE @now DATETIME2(6) = N'?', @loaded INT, @changed INT, @equal INT; DECLARE @prefix VARCHAR(400) = %s, @_deleted BIT = %s, @_source NVARCHAR(300) = %s, @_schema_version INT = %s, @json NVARCHAR(MAX); SET @loaded = 0; SET @json = %s; SELECT CAST([_key_hash] AS BINARY(16)) AS [_key_hash], [id] COLLATE Latin1_General_100_BIN2 AS [id], [size], [label] COLLATE Latin1_General_100_BIN2 AS [label], [price], [state] COLLATE Latin1_General_100_BIN2 AS [state], [active], [day], [at], @prefix + [_rank] COLLATE Latin1_General_100_BIN2 AS [_rank], [_event_id], @_deleted AS [_deleted], @_source COLLATE Latin1_General_100_BIN2 AS [_source], [_occurred_at], @_schema_version AS [_schema_version] INTO #rows FROM OPENJSON(@json) WITH ([_key_hash] UNIQUEIDENTIFIER '$[0]', [id] NVARCHAR(MAX) '$[1]', [size] INT '$[2]', [label] NVARCHAR(MAX) '$[3]', [price] DECIMAL(12,2) '$[4]', [state] NVARCHAR(255) '$[5]', [active] BIT '$[6]', [day] DATE '$[7]', [at] DATETIME2(6) '$[8]', [_rank] VARCHAR(400) '$[9]', [_event_id] UNIQUEIDENTIFIER '$[10]', [_occurred_at] DATETIME2(6) '$[11]'); SET @loaded = @loaded + @@ROWCOUNT; UPDATE r SET [_deleted] = 1 FROM #rows AS r INNER JOIN [headwater].[floors] AS f ON f.entity = N'?' AND f.revision = 2 AND f.source = r.[_source] AND f.bucket = CAST(SUBSTRING(r.[_key_hash], 1, 1) AS INT) WHERE r.[_rank] < f.position; INSERT INTO [staging].[item__r2] ([_key_hash], [id], [size], [label], [price], [state], [active], [day], [at], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version], [_applied_at]) SELECT s.[_key_hash], s.[id], s.[size], s.[label], s.[price], s.[state], s.[active], s.[day], s.[at], s.[_rank], s.[_event_id], s.[_deleted], s.[_source], s.[_occurred_at], s.[_schema_version], @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM [staging].[item__r2] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[_key_hash] = s.[_key_hash]); SET @changed = @@ROWCOUNT; SET @equal = @loaded; IF @changed < @loaded BEGIN UPDATE t SET t.[id] = s.[id], t.[size] = s.[size], t.[label] = s.[label], t.[price] = s.[price], t.[state] = s.[state], t.[active] = s.[active], t.[day] = s.[day], t.[at] = s.[at], t.[_rank] = s.[_rank], t.[_event_id] = s.[_event_id], t.[_deleted] = s.[_deleted], t.[_source] = s.[_source], t.[_occurred_at] = s.[_occurred_at], t.[_schema_version] = s.[_schema_version], t.[_applied_at] = @now FROM [staging].[item__r2] AS t WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] < s.[_rank]; SET @changed = @changed + @@ROWCOUNT; IF @changed < @loaded SELECT @equal = COUNT(*) FROM #rows AS s INNER JOIN [staging].[item__r2] AS t ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] = s.[_rank]; END; DROP TABLE #rows; SELECT @loaded AS loaded, @changed AS changed, @equal AS equal;

DECLARE @now DATETIME2(6) = N'?', @loaded INT, @changed INT, @equal INT; DECLARE @prefix VARCHAR(400) = %s, @_deleted BIT = %s, @_source NVARCHAR(300) = %s, @_schema_version INT = %s, @json NVARCHAR(MAX); SET @loaded = 0; SET @json = %s; SELECT CAST([_key_hash] AS BINARY(16)) AS [_key_hash], [id] COLLATE Latin1_General_100_BIN2 AS [id], [size], [note] COLLATE Latin1_General_100_BIN2 AS [note], @prefix + [_rank] COLLATE Latin1_General_100_BIN2 AS [_rank], [_event_id], @_deleted AS [_deleted], @_source COLLATE Latin1_General_100_BIN2 AS [_source], [_occurred_at], @_schema_version AS [_schema_version] INTO #rows FROM OPENJSON(@json) WITH ([_key_hash] UNIQUEIDENTIFIER '$[0]', [id] NVARCHAR(80) '$[1]', [size] INT '$[2]', [note] NVARCHAR(MAX) '$[3]', [_rank] VARCHAR(400) '$[4]', [_event_id] UNIQUEIDENTIFIER '$[5]', [_occurred_at] DATETIME2(6) '$[6]'); SET @loaded = @loaded + @@ROWCOUNT; UPDATE r SET [_deleted] = 1 FROM #rows AS r INNER JOIN [headwater].[floors] AS f ON f.entity = N'?' AND f.revision = 1 AND f.source = r.[_source] AND f.bucket = CAST(SUBSTRING(r.[_key_hash], 1, 1) AS INT) WHERE r.[_rank] < f.position; INSERT INTO [staging].[past__r1] ([_key_hash], [id], [size], [note], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version], [_applied_at]) SELECT s.[_key_hash], s.[id], s.[size], s.[note], s.[_rank], s.[_event_id], s.[_deleted], s.[_source], s.[_occurred_at], s.[_schema_version], @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM [staging].[past__r1] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[_key_hash] = s.[_key_hash]); SET @changed = @@ROWCOUNT; SET @equal = @loaded; IF @changed < @loaded BEGIN UPDATE t SET t.[id] = s.[id], t.[size] = s.[size], t.[note] = s.[note], t.[_rank] = s.[_rank], t.[_event_id] = s.[_event_id], t.[_deleted] = s.[_deleted], t.[_source] = s.[_source], t.[_occurred_at] = s.[_occurred_at], t.[_schema_version] = s.[_schema_version], t.[_applied_at] = @now FROM [staging].[past__r1] AS t WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] < s.[_rank]; SET @changed = @changed + @@ROWCOUNT; IF @changed < @loaded SELECT @equal = COUNT(*) FROM #rows AS s INNER JOIN [staging].[past__r1] AS t ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] = s.[_rank]; END; DROP TABLE #rows; SELECT @loaded AS loaded, @changed AS changed, @equal AS equal;

DECLARE @now DATETIME2(6) = N'?', @loaded INT, @changed INT, @equal INT; DECLARE @prefix VARCHAR(400) = %s, @_deleted BIT = %s, @_source NVARCHAR(300) = %s, @_schema_version INT = %s, @json NVARCHAR(MAX); SET @loaded = 0; SET @json = %s; SELECT CAST([_key_hash] AS BINARY(16)) AS [_key_hash], [id] COLLATE Latin1_General_100_BIN2 AS [id], [size], [note] COLLATE Latin1_General_100_BIN2 AS [note], @prefix + [_rank] COLLATE Latin1_General_100_BIN2 AS [_rank], [_event_id], @_deleted AS [_deleted], @_source COLLATE Latin1_General_100_BIN2 AS [_source], [_occurred_at], @_schema_version AS [_schema_version], [_operation] COLLATE Latin1_General_100_BIN2 AS [_operation] INTO #rows FROM OPENJSON(@json) WITH ([_key_hash] UNIQUEIDENTIFIER '$[0]', [id] NVARCHAR(80) '$[1]', [size] INT '$[2]', [note] NVARCHAR(MAX) '$[3]', [_rank] VARCHAR(400) '$[4]', [_event_id] UNIQUEIDENTIFIER '$[5]', [_occurred_at] DATETIME2(6) '$[6]', [_operation] VARCHAR(8) '$[7]'); SET @loaded = @loaded + @@ROWCOUNT; INSERT INTO [history].[past__r1] ([_key_hash], [id], [size], [note], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version], [_operation], [_applied_at]) SELECT s.[_key_hash], s.[id], s.[size], s.[note], s.[_rank], s.[_event_id], s.[_deleted], s.[_source], s.[_occurred_at], s.[_schema_version], s.[_operation], @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM [history].[past__r1] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[_key_hash] = s.[_key_hash] AND t.[_rank] = s.[_rank]); DROP TABLE #rows; SELECT @loaded AS loaded;

DECLARE @now DATETIME2(6) = N'?', @loaded INT, @changed INT, @equal INT; DECLARE @prefix VARCHAR(400) = %s, @json NVARCHAR(MAX); SET @loaded = 0; SET @json = %s; SELECT CAST([_key_hash] AS BINARY(16)) AS [_key_hash], [id] COLLATE Latin1_General_100_BIN2 AS [id], [size], [label] COLLATE Latin1_General_100_BIN2 AS [label], [price], [state] COLLATE Latin1_General_100_BIN2 AS [state], [active], [day], [at], @prefix + [_rank] COLLATE Latin1_General_100_BIN2 AS [_rank], [_event_id], [_deleted], [_source] COLLATE Latin1_General_100_BIN2 AS [_source], [_occurred_at], [_schema_version] INTO #rows FROM OPENJSON(@json) WITH ([_key_hash] UNIQUEIDENTIFIER '$[0]', [id] NVARCHAR(MAX) '$[1]', [size] INT '$[2]', [label] NVARCHAR(MAX) '$[3]', [price] DECIMAL(12,2) '$[4]', [state] NVARCHAR(255) '$[5]', [active] BIT '$[6]', [day] DATE '$[7]', [at] DATETIME2(6) '$[8]', [_rank] VARCHAR(400) '$[9]', [_event_id] UNIQUEIDENTIFIER '$[10]', [_deleted] BIT '$[11]', [_source] NVARCHAR(300) '$[12]', [_occurred_at] DATETIME2(6) '$[13]', [_schema_version] INT '$[14]'); SET @loaded = @loaded + @@ROWCOUNT; SET @json = %s; INSERT INTO #rows ([_key_hash], [id], [size], [label], [price], [state], [active], [day], [at], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version]) SELECT CAST([_key_hash] AS BINARY(16)) AS [_key_hash], [id] COLLATE Latin1_General_100_BIN2 AS [id], [size], [label] COLLATE Latin1_General_100_BIN2 AS [label], [price], [state] COLLATE Latin1_General_100_BIN2 AS [state], [active], [day], [at], @prefix + [_rank] COLLATE Latin1_General_100_BIN2 AS [_rank], [_event_id], [_deleted], [_source] COLLATE Latin1_General_100_BIN2 AS [_source], [_occurred_at], [_schema_version] FROM OPENJSON(@json) WITH ([_key_hash] UNIQUEIDENTIFIER '$[0]', [id] NVARCHAR(MAX) '$[1]', [size] INT '$[2]', [label] NVARCHAR(MAX) '$[3]', [price] DECIMAL(12,2) '$[4]', [state] NVARCHAR(255) '$[5]', [active] BIT '$[6]', [day] DATE '$[7]', [at] DATETIME2(6) '$[8]', [_rank] VARCHAR(400) '$[9]', [_event_id] UNIQUEIDENTIFIER '$[10]', [_deleted] BIT '$[11]', [_source] NVARCHAR(300) '$[12]', [_occurred_at] DATETIME2(6) '$[13]', [_schema_version] INT '$[14]'); SET @loaded = @loaded + @@ROWCOUNT; UPDATE r SET [_deleted] = 1 FROM #rows AS r INNER JOIN [headwater].[floors] AS f ON f.entity = N'?' AND f.revision = 1 AND f.source = r.[_source] AND f.bucket = CAST(SUBSTRING(r.[_key_hash], 1, 1) AS INT) WHERE r.[_rank] < f.position; INSERT INTO [staging].[item__r1] ([_key_hash], [id], [size], [label], [price], [state], [active], [day], [at], [_rank], [_event_id], [_deleted], [_source], [_occurred_at], [_schema_version], [_applied_at]) SELECT s.[_key_hash], s.[id], s.[size], s.[label], s.[price], s.[state], s.[active], s.[day], s.[at], s.[_rank], s.[_event_id], s.[_deleted], s.[_source], s.[_occurred_at], s.[_schema_version], @now FROM #rows AS s WHERE NOT EXISTS (SELECT 1 FROM [staging].[item__r1] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.[_key_hash] = s.[_key_hash]); SET @changed = @@ROWCOUNT; SET @equal = @loaded; IF @changed < @loaded BEGIN UPDATE t SET t.[id] = s.[id], t.[size] = s.[size], t.[label] = s.[label], t.[price] = s.[price], t.[state] = s.[state], t.[active] = s.[active], t.[day] = s.[day], t.[at] = s.[at], t.[_rank] = s.[_rank], t.[_event_id] = s.[_event_id], t.[_deleted] = s.[_deleted], t.[_source] = s.[_source], t.[_occurred_at] = s.[_occurred_at], t.[_schema_version] = s.[_schema_version], t.[_applied_at] = @now FROM [staging].[item__r1] AS t WITH (UPDLOCK, HOLDLOCK) INNER JOIN #rows AS s ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] < s.[_rank]; SET @changed = @changed + @@ROWCOUNT; IF @changed < @loaded SELECT @equal = COUNT(*) FROM #rows AS s INNER JOIN [staging].[item__r1] AS t ON t.[_key_hash] = s.[_key_hash] WHERE t.[_rank] = s.[_rank]; END; DROP TABLE #rows; SELECT @loaded AS loaded, @changed AS changed, @equal AS equal;

DECLARE @points NVARCHAR(MAX) = %s; INSERT INTO [headwater].[checkpoints] (reader, stream, shard, sequence) SELECT p.reader, p.stream, p.shard, p.sequence FROM OPENJSON(@points) WITH (reader VARCHAR(128) '$[0]', stream VARCHAR(400) '$[1]', shard VARCHAR(128) '$[2]', sequence VARCHAR(129) '$[3]') AS p WHERE NOT EXISTS (SELECT 1 FROM [headwater].[checkpoints] AS c WITH (UPDLOCK, HOLDLOCK) WHERE c.reader = p.reader COLLATE Latin1_General_100_BIN2 AND c.stream = p.stream COLLATE Latin1_General_100_BIN2 AND c.shard = p.shard COLLATE Latin1_General_100_BIN2); UPDATE c SET sequence = p.sequence FROM [headwater].[checkpoints] AS c INNER JOIN OPENJSON(@points) WITH (reader VARCHAR(128) '$[0]', stream VARCHAR(400) '$[1]', shard VARCHAR(128) '$[2]', sequence VARCHAR(129) '$[3]') AS p ON c.reader = p.reader COLLATE Latin1_General_100_BIN2 AND c.stream = p.stream COLLATE Latin1_General_100_BIN2 AND c.shard = p.shard COLLATE Latin1_General_100_BIN2 WHERE c.sequence < p.sequence COLLATE Latin1_General_100_BIN2;;

DELETE FROM [headwater].[views] WHERE name = %s;

DELETE FROM headwater.checkpoints WHERE headwater.checkpoints.reader = %(reader_1)s;

DELETE FROM headwater.dead_letters;

DELETE FROM headwater.floors WHERE headwater.floors.entity = %(entity_1)s AND headwater.floors.revision = %(revision_1)s;

DELETE FROM headwater.reports WHERE headwater.reports.name = %(name_1)s AND headwater.reports.number = %(number_1)s;

DELETE FROM headwater.sweeps WHERE headwater.sweeps.entity = %(entity_1)s AND headwater.sweeps.revision = %(revision_1)s;

DELETE t FROM [headwater].[pending_report__r1__1] AS t INNER HASH JOIN [#report_taken_chosen] AS k ON k.[_id] = t.[_id]; DELETE t FROM [headwater].[pending_report__r1__2] AS t INNER HASH JOIN [#report_taken_item] AS k ON k.[_id] = t.[_id]; DROP TABLE IF EXISTS [#report_taken_chosen]; DROP TABLE IF EXISTS [#report_taken_item]; DROP TABLE IF EXISTS [#report_own_chosen]; DROP TABLE IF EXISTS [#report_own_item]; DROP TABLE IF EXISTS [#report_now_chosen]; DROP TABLE IF EXISTS [#report_now_item]; DROP TABLE IF EXISTS [#report_before_chosen]; DROP TABLE IF EXISTS [#report_before_item]; DROP TABLE IF EXISTS [#report_changed_chosen]; DROP TABLE IF EXISTS [#report_changed_item]; DROP TABLE IF EXISTS [#report_found]; DROP TABLE IF EXISTS [#report_units];

DROP FUNCTION IF EXISTS [history].[past_at];

DROP INDEX [report_by_f] ON [staging].[thing__r1];

DROP TABLE IF EXISTS [#report_compared];

DROP TABLE IF EXISTS [#report_found]; DROP TABLE IF EXISTS [#report_units];

DROP TABLE [history].[past__r1];

DROP TABLE [staging].[item__r3];

DROP VIEW IF EXISTS [history].[past];

DROP VIEW [staging].[item__as_of_then];

EXEC sp_describe_first_result_set N'?';

EXEC sp_releaseapplock @Resource = N'?', @LockOwner = 'Session';

GRANT ALTER ON SCHEMA::[headwater] TO [headwater_refresher];

GRANT ALTER ON SCHEMA::[staging] TO [headwater_refresher];

GRANT CONTROL ON SCHEMA::[reporting] TO [headwater_refresher];

GRANT CREATE TABLE, CREATE VIEW TO [headwater_refresher];

GRANT INSERT ON [headwater].[sweeps] TO [headwater_writer];

GRANT INSERT, DELETE ON [headwater].[dead_letters] TO [headwater_writer];

GRANT INSERT, UPDATE ON [headwater].[checkpoints] TO [headwater_writer];

GRANT INSERT, UPDATE ON [headwater].[floors] TO [headwater_writer];

GRANT INSERT, UPDATE ON [headwater].[reports] TO [headwater_refresher];

GRANT SELECT ON SCHEMA::[headwater] TO [headwater_writer];

GRANT SELECT ON SCHEMA::[history] TO [headwater_refresher];

GRANT SELECT ON SCHEMA::[staging] TO [headwater_refresher];

GRANT SELECT, DELETE ON SCHEMA::[headwater] TO [headwater_refresher];

GRANT SELECT, INSERT ON SCHEMA::[history] TO [headwater_writer];

GRANT SELECT, INSERT, UPDATE ON SCHEMA::[staging] TO [headwater_writer];

GRANT VIEW DEFINITION ON ROLE::[headwater_reader] TO [headwater_refresher];

IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL AND HAS_PERMS_BY_NAME(N'?', N'?', N'?') = 1 GRANT INSERT ON [headwater].[pending_report__r1__1] TO [headwater_writer];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL AND HAS_PERMS_BY_NAME(N'?', N'?', N'?') = 1 GRANT INSERT ON [headwater].[pending_report__r1__2] TO [headwater_writer];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [headwater].[dead_letter_summary] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [history].[past] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [history].[past_at] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [history].[thing] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [history].[thing_at] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [reporting].[_freshness] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [reporting].[often] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [reporting].[report] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [staging].[chosen] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [staging].[every] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [staging].[item] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [staging].[item__as_of_then] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [staging].[past] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NOT NULL GRANT SELECT ON [staging].[thing] TO [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NULL CREATE ROLE [headwater_reader];

IF DATABASE_PRINCIPAL_ID(N'?') IS NULL CREATE ROLE [headwater_refresher];

IF DATABASE_PRINCIPAL_ID(N'?') IS NULL CREATE ROLE [headwater_writer];

IF OBJECT_ID(N'?') IS NOT NULL DROP TABLE [headwater].[pending_report__r1__1];

IF OBJECT_ID(N'?') IS NOT NULL DROP TABLE [headwater].[pending_report__r1__2];

IF OBJECT_ID(N'?') IS NOT NULL DROP TABLE [reporting].[report__r1];

IF OBJECT_ID(N'?') IS NOT NULL DROP TRIGGER [staging].[pending_report__r1__1_insert];

IF OBJECT_ID(N'?') IS NOT NULL DROP TRIGGER [staging].[pending_report__r1__1_update];

IF OBJECT_ID(N'?') IS NOT NULL DROP TRIGGER [staging].[pending_report__r1__2_insert];

IF OBJECT_ID(N'?') IS NOT NULL DROP TRIGGER [staging].[pending_report__r1__2_update];

IF OBJECT_ID(N'?') IS NOT NULL DROP VIEW [reporting].[report];

IF SCHEMA_ID(N'?') IS NULL EXEC(N'CREATE SCHEMA [headwater]');

IF SCHEMA_ID(N'?') IS NULL EXEC(N'CREATE SCHEMA [history]');

IF SCHEMA_ID(N'?') IS NULL EXEC(N'CREATE SCHEMA [reporting]');

IF SCHEMA_ID(N'?') IS NULL EXEC(N'CREATE SCHEMA [staging]');

INSERT INTO [headwater].[views] (name, definition) VALUES (%s, %s);

INSERT INTO headwater.checkpoints (reader, stream, shard, sequence) SELECT %(param_1)s AS anon_1, headwater.checkpoints.stream, headwater.checkpoints.shard, headwater.checkpoints.sequence FROM headwater.checkpoints WHERE headwater.checkpoints.reader = %(reader_1)s;

INSERT INTO headwater.dead_letters (entity, stage, cause, state, letters, oldest, newest, refreshed_at) VALUES (%(entity)s, %(stage)s, %(cause)s, %(state)s, %(letters)s, %(oldest)s, %(newest)s, %(refreshed_at)s);

INSERT INTO headwater.reports (name, number, state, definition, sources, minutes, row_count, checkpoints, problem) VALUES (%(name)s, %(number)s, %(state)s, %(definition)s, %(sources)s, %(minutes)s, %(row_count)s, %(checkpoints)s, %(problem)s);

INSERT INTO headwater.revisions (entity, number, state, schema_version, schema_fingerprint, created_at) VALUES (%(entity)s, %(number)s, %(state)s, %(schema_version)s, %(schema_fingerprint)s, %(created_at)s);

SELECT * FROM [staging].[item] ORDER BY [id];

SELECT * INTO [#report_compared] FROM (SELECT [i].[label] AS [label], [i].[day] AS [day], COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] GROUP BY [i].[label], [i].[day]) AS [q];

SELECT * INTO [#report_taken_chosen] FROM (SELECT * FROM [headwater].[pending_report__r1__1]) AS [q]; SELECT * INTO [#report_taken_item] FROM (SELECT * FROM [headwater].[pending_report__r1__2]) AS [q]; SELECT * INTO [#report_own_chosen] FROM (SELECT [t].[id] AS [id], [t].[_deleted] AS [_deleted], [t].[_occurred_at] AS [_occurred_at] FROM (SELECT DISTINCT [_key_hash] AS [_key_hash] FROM [#report_taken_chosen]) AS [k] CROSS JOIN [staging].[chosen__r1] AS [t] WHERE [t].[_key_hash] = [k].[_key_hash]) AS [q]; SELECT * INTO [#report_now_chosen] FROM (SELECT [t].[id] AS [id], [t].[_deleted] AS [_deleted], [t].[_occurred_at] AS [_occurred_at] FROM (SELECT [id] FROM [#report_own_chosen] UNION SELECT [id] FROM [#report_taken_chosen] WHERE [_existed] = 1) AS [k] CROSS JOIN [staging].[chosen__r1] AS [t] WHERE [t].[id] = [k].[id]) AS [q]; SELECT * INTO [#report_now_item] FROM (SELECT [t].[day] AS [day], [t].[id] AS [id], [t].[label] AS [label], [t].[_deleted] AS [_deleted], [t].[_occurred_at] AS [_occurred_at] FROM (SELECT DISTINCT [_key_hash] AS [_key_hash] FROM [#report_taken_item]) AS [k] CROSS JOIN [staging].[item__r2] AS [t] WHERE [t].[_key_hash] = [k].[_key_hash]) AS [q]; SELECT * INTO [#report_before_chosen] FROM (SELECT DISTINCT [id] AS [id] FROM [#report_taken_chosen] WHERE [_existed] = 1) AS [q]; SELECT * INTO [#report_changed_chosen] FROM (SELECT DISTINCT [id] FROM [#report_taken_chosen] WHERE [_existed] = 1 UNION SELECT [id] FROM [#report_now_chosen] WHERE [_deleted] = 0) AS [q]; SELECT * INTO [#report_before_item] FROM (SELECT DISTINCT [day] AS [day], [id] AS [id], [label] AS [label] FROM [#report_taken_item] WHERE [_existed] = 1) AS [q]; SELECT * INTO [#report_changed_item] FROM (SELECT DISTINCT [day], [id], [label] FROM [#report_taken_item] WHERE [_existed] = 1 UNION SELECT [day], [id], [label] FROM [#report_now_item] WHERE [_deleted] = 0) AS [q]; SELECT * INTO [#report_found] FROM (SELECT [label] AS [label], [day] AS [day] FROM [reporting].[report__r1] WHERE 1 = 0) AS [q]; INSERT INTO [#report_found] SELECT DISTINCT [p1].[label] AS [label], [p1].[day] AS [day] FROM [#report_changed_item] AS [p1]; INSERT INTO [#report_found] SELECT DISTINCT [p1].[label] AS [label], [p1].[day] AS [day] FROM [#report_changed_chosen] AS [p2], (SELECT [t].[day] AS [day], [t].[id] AS [id], [t].[label] AS [label] FROM [staging].[item__r2] AS [t] WHERE [t].[_deleted] = 0) AS [p1] WHERE [p2].[id] = [p1].[id]; SELECT * INTO [#report_units] FROM (SELECT DISTINCT [label] AS [label], [day] AS [day] FROM [#report_found]) AS [q];

SELECT * INTO [#report_taken_chosen] FROM (SELECT * FROM [headwater].[pending_report__r1__1]) AS [q]; SELECT * INTO [#report_taken_item] FROM (SELECT * FROM [headwater].[pending_report__r1__2]) AS [q]; SELECT * INTO [#report_own_chosen] FROM (SELECT [t].[id] AS [id], [t].[_deleted] AS [_deleted], [t].[_occurred_at] AS [_occurred_at] FROM (SELECT DISTINCT [_key_hash] AS [_key_hash] FROM [#report_taken_chosen]) AS [k] CROSS JOIN [staging].[chosen__r1] AS [t] WHERE [t].[_key_hash] = [k].[_key_hash]) AS [q]; SELECT * INTO [#report_now_chosen] FROM (SELECT [t].[id] AS [id], [t].[_deleted] AS [_deleted], [t].[_occurred_at] AS [_occurred_at] FROM (SELECT [id] FROM [#report_own_chosen] UNION SELECT [id] FROM [#report_taken_chosen] WHERE [_existed] = 1) AS [k] CROSS JOIN [staging].[chosen__r1] AS [t] WHERE [t].[id] = [k].[id]) AS [q]; SELECT * INTO [#report_now_item] FROM (SELECT [t].[day] AS [day], [t].[id] AS [id], [t].[label] AS [label], [t].[_deleted] AS [_deleted], [t].[_occurred_at] AS [_occurred_at] FROM (SELECT DISTINCT [_key_hash] AS [_key_hash] FROM [#report_taken_item]) AS [k] CROSS JOIN [staging].[item__r2] AS [t] WHERE [t].[_key_hash] = [k].[_key_hash]) AS [q]; SELECT * INTO [#report_changed_chosen] FROM (SELECT DISTINCT [id] FROM [#report_taken_chosen] WHERE [_existed] = 1 UNION SELECT [id] FROM [#report_now_chosen] WHERE [_deleted] = 0) AS [q]; SELECT * INTO [#report_changed_item] FROM (SELECT DISTINCT [day], [id], [label] FROM [#report_taken_item] WHERE [_existed] = 1 UNION SELECT [day], [id], [label] FROM [#report_now_item] WHERE [_deleted] = 0) AS [q]; SELECT * INTO [#report_found] FROM (SELECT [label] AS [label], [day] AS [day] FROM [reporting].[report__r1] WHERE 1 = 0) AS [q]; INSERT INTO [#report_found] SELECT DISTINCT [p1].[label] AS [label], [p1].[day] AS [day] FROM [#report_changed_item] AS [p1]; INSERT INTO [#report_found] SELECT DISTINCT [p1].[label] AS [label], [p1].[day] AS [day] FROM [#report_changed_chosen] AS [p2], (SELECT [t].[day] AS [day], [t].[id] AS [id], [t].[label] AS [label] FROM [staging].[item__r2] AS [t] WHERE [t].[_deleted] = 0) AS [p1] WHERE [p2].[id] = [p1].[id]; SELECT * INTO [#report_units] FROM (SELECT DISTINCT [label] AS [label], [day] AS [day] FROM [#report_found]) AS [q];

SELECT 0 AS [place], COUNT_BIG(*) AS [pending], COALESCE(SUM(CASE WHEN [_existed] = 1 THEN 1 END), 0) AS [replaced] FROM [headwater].[pending_report__r1__1] UNION ALL SELECT 1 AS [place], COUNT_BIG(*) AS [pending], COALESCE(SUM(CASE WHEN [_existed] = 1 THEN 1 END), 0) AS [replaced] FROM [headwater].[pending_report__r1__2];

SELECT CASE WHEN SCHEMA_ID(N'?') IS NOT NULL THEN HAS_PERMS_BY_NAME(N'?', N'?', N'?') END;

SELECT CAST(is_read_committed_snapshot_on AS INT) FROM sys.databases WHERE name = DB_NAME();

SELECT CAST(snapshot_isolation_state AS INT) FROM sys.databases WHERE name = DB_NAME();

SELECT COLUMN_NAME, DATA_TYPE, CHARACTER_MAXIMUM_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = N'?' AND TABLE_NAME = N'?' ORDER BY ORDINAL_POSITION;

SELECT COUNT(*), COUNT(CASE WHEN [_deleted] = 1 THEN 1 END), MAX([_occurred_at]) FROM [staging].[chosen__r1];

SELECT COUNT(*), COUNT(CASE WHEN [_deleted] = 1 THEN 1 END), MAX([_occurred_at]) FROM [staging].[every__r1];

SELECT COUNT(*), COUNT(CASE WHEN [_deleted] = 1 THEN 1 END), MAX([_occurred_at]) FROM [staging].[item__r2];

SELECT COUNT(*), COUNT(CASE WHEN [_deleted] = 1 THEN 1 END), MAX([_occurred_at]) FROM [staging].[past__r1];

SELECT COUNT(DISTINCT principal_id) FROM sys.schemas WHERE name IN (N'?', N'?', N'?', N'?');

SELECT COUNT_BIG(*) FROM (SELECT * FROM [#report_compared]) AS [d];

SELECT COUNT_BIG(*) FROM (SELECT * FROM [reporting].[report__r1]) AS [d];

SELECT COUNT_BIG(*) FROM (SELECT [label], [day] FROM [#report_compared] EXCEPT SELECT [label], [day] FROM [reporting].[report__r1]) AS [d];

SELECT COUNT_BIG(*) FROM (SELECT [label], [day] FROM [reporting].[report__r1] EXCEPT SELECT [label], [day] FROM [#report_compared]) AS [d];

SELECT COUNT_BIG(*) FROM (SELECT [label], [day], [items], [size] FROM [reporting].[report__r1] EXCEPT SELECT [label], [day], [items], [size] FROM [#report_compared]) AS [d];

SELECT DATABASE_PRINCIPAL_ID(N'?');

SELECT HAS_PERMS_BY_NAME(DB_NAME(), N'?', N'?');

SELECT MAX([_occurred_at]) AS [newest] FROM (SELECT [_occurred_at] FROM [#report_now_chosen] UNION ALL SELECT [_occurred_at] FROM [#report_now_item]) AS [moments];

SELECT MAX([_occurred_at]) AS [newest] FROM (SELECT [_occurred_at] FROM [staging].[chosen__r1] UNION ALL SELECT [_occurred_at] FROM [staging].[item__r2]) AS [moments];

SELECT OBJECT_ID(%s, N'?');

SELECT OBJECT_ID(N'?', N'?'), OBJECT_ID(N'?', N'?'), OBJECT_ID(N'?', N'?'), OBJECT_ID(N'?', N'?'), OBJECT_ID(N'?', N'?'), OBJECT_ID(N'?', N'?'), OBJECT_ID(N'?', N'?');

SELECT TOP (1) * FROM [staging].[item] ORDER BY [id];

SELECT TOP 0 * INTO [reporting].[often__r1] FROM (SELECT [i].[label] AS [label], [i].[day] AS [day], DAY(CAST('?' AS DATETIME2(6))) + COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] GROUP BY [i].[label], [i].[day]) AS [q];

SELECT TOP 0 * INTO [reporting].[report__r1] FROM (SELECT [i].[label] AS [label], [i].[day] AS [day], COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] GROUP BY [i].[label], [i].[day]) AS [q];

SELECT TOP 5 [label], [day] FROM (SELECT [label], [day] FROM [#report_compared] EXCEPT SELECT [label], [day] FROM [reporting].[report__r1]) AS [d];

SELECT TOP 5 [label], [day] FROM (SELECT [label], [day] FROM [reporting].[report__r1] EXCEPT SELECT [label], [day] FROM [#report_compared]) AS [d];

SELECT TOP 5 [label], [day] FROM (SELECT [label], [day], [items], [size] FROM [reporting].[report__r1] EXCEPT SELECT [label], [day], [items], [size] FROM [#report_compared]) AS [d];

SELECT TOP 5 t.[label], t.[day] FROM [#report_compared] AS t GROUP BY t.[label], t.[day], DATALENGTH(t.[label]), DATALENGTH(t.[day]) HAVING COUNT(*) > 1;

SELECT TOP 5 t.[label], t.[day] FROM [reporting].[often__r1] AS t GROUP BY t.[label], t.[day], DATALENGTH(t.[label]), DATALENGTH(t.[day]) HAVING COUNT(*) > 1;

SELECT TOP 5 t.[label], t.[day] FROM [reporting].[report__r1] AS t GROUP BY t.[label], t.[day], DATALENGTH(t.[label]), DATALENGTH(t.[day]) HAVING COUNT(*) > 1;

SELECT TOP 5 t.[label], t.[day] FROM [reporting].[report__r1] AS t INNER JOIN [#report_units] AS [units] ON ([t].[label]) = [units].[label] AND ([t].[day]) = [units].[day] GROUP BY t.[label], t.[day], DATALENGTH(t.[label]), DATALENGTH(t.[day]) HAVING COUNT(*) > 1;

SELECT TOP 5 t.[label], t.[day] FROM [reporting].[report__r1] AS t INNER JOIN [#report_units] AS [units] ON ([t].[label]) = [units].[label] AND ([t].[day]) IS NULL AND [units].[day] IS NULL GROUP BY t.[label], t.[day], DATALENGTH(t.[label]), DATALENGTH(t.[day]) HAVING COUNT(*) > 1;

SELECT [label], [day], [items], [size] FROM (SELECT [i].[label] AS [label], [i].[day] AS [day], COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] GROUP BY [i].[label], [i].[day]) AS [q] EXCEPT SELECT [label], [day], [items], [size] FROM [reporting].[report__r1];

SELECT [label], [day], [items], [size] FROM [reporting].[report__r1] EXCEPT SELECT [label], [day], [items], [size] FROM (SELECT [i].[label] AS [label], [i].[day] AS [day], COUNT(*) AS [items], SUM([c].[size]) AS [size] FROM [staging].[item] AS [i] LEFT JOIN [staging].[chosen] AS [c] ON [c].[id] = [i].[id] GROUP BY [i].[label], [i].[day]) AS [q];

SELECT [n0], [n1], COUNT_BIG(*) AS [units] FROM (SELECT CASE WHEN [units].[label] IS NULL THEN 1 ELSE 0 END AS [n0], CASE WHEN [units].[day] IS NULL THEN 1 ELSE 0 END AS [n1] FROM [#report_units] AS [units]) AS [flagged] GROUP BY [n0], [n1];

SELECT coalesce(max(headwater.reports.number), %(coalesce_2)s) AS coalesce_1 FROM headwater.reports WHERE headwater.reports.name = %(name_1)s;

SELECT coalesce(max(headwater.revisions.number), %(coalesce_1)s) + %(coalesce_2)s AS anon_1 FROM headwater.revisions WHERE headwater.revisions.entity = %(entity_1)s;

SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME();

SELECT definition FROM [headwater].[views] WHERE name = %s AND OBJECT_ID(%s, N'?') IS NOT NULL;

SELECT headwater.checkpoints.stream, headwater.checkpoints.shard, headwater.checkpoints.sequence FROM headwater.checkpoints WHERE headwater.checkpoints.reader = %(reader_1)s ORDER BY headwater.checkpoints.stream, headwater.checkpoints.shard;

SELECT headwater.dead_letters.entity, headwater.dead_letters.stage, headwater.dead_letters.cause, headwater.dead_letters.state, headwater.dead_letters.letters, headwater.dead_letters.oldest, headwater.dead_letters.newest FROM headwater.dead_letters ORDER BY headwater.dead_letters.entity, headwater.dead_letters.stage, headwater.dead_letters.cause, headwater.dead_letters.state;

SELECT headwater.floors.source, headwater.floors.bucket, headwater.floors.position FROM headwater.floors WHERE headwater.floors.entity = %(entity_1)s AND headwater.floors.revision = %(revision_1)s;

SELECT headwater.reports.name, headwater.reports.number, headwater.reports.state, headwater.reports.definition, headwater.reports.sources, headwater.reports.minutes, headwater.reports.row_count, headwater.reports.event_time, headwater.reports.checkpoints, headwater.reports.refreshed_at, headwater.reports.problem FROM headwater.reports ORDER BY headwater.reports.name, headwater.reports.number;

SELECT headwater.reports.name, headwater.reports.number, headwater.reports.state, headwater.reports.definition, headwater.reports.sources, headwater.reports.minutes, headwater.reports.row_count, headwater.reports.event_time, headwater.reports.checkpoints, headwater.reports.refreshed_at, headwater.reports.problem FROM headwater.reports WHERE headwater.reports.name = %(name_1)s ORDER BY headwater.reports.name, headwater.reports.number;

SELECT headwater.revisions.number, headwater.revisions.state, headwater.revisions.created_at, headwater.revisions.schema_version, headwater.revisions.as_of, headwater.revisions.schema_fingerprint, headwater.revisions.entity FROM headwater.revisions WHERE headwater.revisions.entity IN (%(entity_1_1)s) AND headwater.revisions.state != %(state_1)s;

SELECT headwater.revisions.number, headwater.revisions.state, headwater.revisions.created_at, headwater.revisions.schema_version, headwater.revisions.as_of, headwater.revisions.schema_fingerprint, headwater.revisions.entity FROM headwater.revisions WHERE headwater.revisions.entity IN (%(entity_1_1)s) AND headwater.revisions.state != %(state_1)s AND headwater.revisions.number = %(number_1)s;

SELECT headwater.revisions.number, headwater.revisions.state, headwater.revisions.created_at, headwater.revisions.schema_version, headwater.revisions.as_of, headwater.revisions.schema_fingerprint, headwater.revisions.entity FROM headwater.revisions WHERE headwater.revisions.entity IN (%(entity_1_1)s) AND headwater.revisions.state != %(state_1)s AND headwater.revisions.state = %(state_2)s;

SELECT headwater.revisions.number, headwater.revisions.state, headwater.revisions.created_at, headwater.revisions.schema_version, headwater.revisions.as_of, headwater.revisions.schema_fingerprint, headwater.revisions.entity FROM headwater.revisions WHERE headwater.revisions.entity IN (%(entity_1_1)s) AND headwater.revisions.state != %(state_1)s ORDER BY headwater.revisions.number;

SELECT i.name, c.name FROM sys.indexes AS i INNER JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id INNER JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id WHERE i.object_id = OBJECT_ID(%s) AND i.has_filter = 0 AND i.is_disabled = 0 AND k.key_ordinal > 0 ORDER BY i.name, k.key_ordinal;

SELECT name FROM [headwater].[views] ORDER BY name;

SELECT name FROM sys.triggers WHERE parent_id = OBJECT_ID(%s);

SELECT name, SUM(waiting) AS waiting FROM (SELECT 'report' AS name, COUNT(*) AS waiting FROM [headwater].[pending_report__r1__1] UNION ALL SELECT 'report' AS name, COUNT(*) AS waiting FROM [headwater].[pending_report__r1__2]) AS counted GROUP BY name;

SELECT number, state, created_at, schema_version, as_of, schema_fingerprint, entity FROM [headwater].[revisions] WHERE entity IN (N'?') AND state <> N'?';

SELECT reader, stream, shard, sequence FROM [headwater].[checkpoints] WHERE reader = %s ORDER BY stream, shard;

SELECT source COLLATE Latin1_General_100_BIN2 AS source, bucket, position COLLATE Latin1_General_100_BIN2 AS position, CAST(low AS BINARY(16)) AS low, CAST(high AS BINARY(16)) AS high INTO #sweeps FROM OPENJSON(%s) WITH (source NVARCHAR(300) '$[0]', bucket INT '$[1]', position VARCHAR(400) '$[2]', low UNIQUEIDENTIFIER '$[3]', high UNIQUEIDENTIFIER '$[4]'); INSERT INTO [headwater].[floors] (entity, revision, source, bucket, position) SELECT N'?', 1, s.source, s.bucket, s.position FROM #sweeps AS s WHERE NOT EXISTS (SELECT 1 FROM [headwater].[floors] AS f WHERE f.entity = N'?' AND f.revision = 1 AND f.source = s.source AND f.bucket = s.bucket); UPDATE f SET position = s.position FROM [headwater].[floors] AS f INNER JOIN #sweeps AS s ON f.entity = N'?' AND f.revision = 1 AND f.source = s.source AND f.bucket = s.bucket WHERE f.position < s.position; UPDATE t SET [_deleted] = 1 FROM [staging].[item__r1] AS t INNER JOIN #sweeps AS s ON t.[_key_hash] >= s.low AND t.[_key_hash] <= s.high AND t.[_source] = s.source AND t.[_rank] < s.position WHERE t.[_deleted] = 0; DROP TABLE #sweeps;

SELECT source COLLATE Latin1_General_100_BIN2 AS source, bucket, position COLLATE Latin1_General_100_BIN2 AS position, CAST(low AS BINARY(16)) AS low, CAST(high AS BINARY(16)) AS high INTO #sweeps FROM OPENJSON(%s) WITH (source NVARCHAR(300) '$[0]', bucket INT '$[1]', position VARCHAR(400) '$[2]', low UNIQUEIDENTIFIER '$[3]', high UNIQUEIDENTIFIER '$[4]'); INSERT INTO [headwater].[floors] (entity, revision, source, bucket, position) SELECT N'?', 1, s.source, s.bucket, s.position FROM #sweeps AS s WHERE NOT EXISTS (SELECT 1 FROM [headwater].[floors] AS f WHERE f.entity = N'?' AND f.revision = 1 AND f.source = s.source AND f.bucket = s.bucket); UPDATE f SET position = s.position FROM [headwater].[floors] AS f INNER JOIN #sweeps AS s ON f.entity = N'?' AND f.revision = 1 AND f.source = s.source AND f.bucket = s.bucket WHERE f.position < s.position; UPDATE t SET [_deleted] = 1 FROM [staging].[past__r1] AS t INNER JOIN #sweeps AS s ON t.[_key_hash] >= s.low AND t.[_key_hash] <= s.high AND t.[_source] = s.source AND t.[_rank] < s.position WHERE t.[_deleted] = 0; DROP TABLE #sweeps;

SELECT source COLLATE Latin1_General_100_BIN2 AS source, bucket, position COLLATE Latin1_General_100_BIN2 AS position, occurred_at, event_id INTO #sweeps FROM OPENJSON(%s) WITH (source NVARCHAR(300) '$[0]', bucket INT '$[1]', position VARCHAR(400) '$[2]', occurred_at DATETIME2(6) '$[3]', event_id UNIQUEIDENTIFIER '$[4]'); INSERT INTO [headwater].[sweeps] (entity, revision, source, bucket, position, occurred_at, event_id) SELECT N'?', 1, s.source, s.bucket, s.position, s.occurred_at, s.event_id FROM #sweeps AS s WHERE NOT EXISTS (SELECT 1 FROM [headwater].[sweeps] AS t WITH (UPDLOCK, HOLDLOCK) WHERE t.entity = N'?' AND t.revision = 1 AND t.source = s.source AND t.bucket = s.bucket AND t.position = s.position AND t.occurred_at = s.occurred_at); DROP TABLE #sweeps;

SELECT t.[_key_hash], t.[id], t.[size], t.[label], t.[price], t.[state], t.[active], t.[day], t.[at], t.[_rank], t.[_event_id], t.[_deleted], t.[_source], t.[_occurred_at], t.[_schema_version] FROM [staging].[item__r1] AS t INNER JOIN OPENJSON(%s) WITH (k UNIQUEIDENTIFIER '$[0]') AS wanted ON t.[_key_hash] = CAST(wanted.k AS BINARY(16));

SELECT t.[_key_hash], t.[id], t.[size], t.[label], t.[price], t.[state], t.[active], t.[day], t.[at], t.[_rank], t.[_event_id], t.[_deleted], t.[_source], t.[_occurred_at], t.[_schema_version] FROM [staging].[item__r1] AS t ORDER BY t.[_key_hash];

SET NOCOUNT ON; DECLARE @held INT; EXEC @held = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Session', @LockTimeout = 0; SELECT @held;

SET TRANSACTION ISOLATION LEVEL READ COMMITTED;

SET TRANSACTION ISOLATION LEVEL SNAPSHOT; SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT 30000; BEGIN TRANSACTION;

SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT 30000; BEGIN TRANSACTION; DECLARE @locked INT = 0;;

SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT 30000; BEGIN TRANSACTION; DECLARE @locked INT = 0; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END;;

SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT 30000; BEGIN TRANSACTION; DECLARE @locked INT = 0; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END;;

SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT 30000; BEGIN TRANSACTION; DECLARE @locked INT = 0; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END;;

SET XACT_ABORT ON; SET NOCOUNT ON; SET LOCK_TIMEOUT 30000; BEGIN TRANSACTION; DECLARE @locked INT = 0; EXEC @locked = sp_getapplock @Resource = N'?', @LockMode = 'Exclusive', @LockOwner = 'Transaction', @LockTimeout = 30000; IF @locked = -3 BEGIN THROW 50003, N'?', 1; END; IF @locked < 0 BEGIN THROW 50001, N'?', 1; END; SELECT number, state, created_at, schema_version, as_of, schema_fingerprint, entity FROM [headwater].[revisions] WHERE entity IN (N'?') AND state <> N'?';

UPDATE [history].[thing__r1] SET [f] = N'?';

UPDATE [staging].[thing__r1] SET [f] = N'?';

UPDATE headwater.reports SET state=%(state)s, row_count=%(row_count)s, event_time=%(event_time)s, checkpoints=%(checkpoints)s, refreshed_at=%(refreshed_at)s, problem=%(problem)s WHERE headwater.reports.name = %(name_1)s AND headwater.reports.number = %(number_1)s;

UPDATE headwater.revisions SET schema_version=%(schema_version)s, schema_fingerprint=%(schema_fingerprint)s WHERE headwater.revisions.entity = %(entity_1)s AND headwater.revisions.number = %(number_1)s;

UPDATE headwater.revisions SET state=%(state)s, as_of=%(as_of)s WHERE headwater.revisions.entity = %(entity_1)s AND headwater.revisions.number = %(number_1)s;

