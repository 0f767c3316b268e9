-- sqlite3's .dump of a database that the workbench made before it kept governance
BEGIN TRANSACTION;
CREATE TABLE audit (
	sequence INTEGER NOT NULL,
	at TEXT NOT NULL,
	actor TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	PRIMARY KEY (sequence)
);
INSERT INTO "audit" VALUES(1,'2026-11-23T21:48:12.030265+00:00','ann','add dataset','dataset-1');
INSERT INTO "audit" VALUES(2,'2026-11-23T21:48:12.037383+00:00','bob','start run','experiment-1');
INSERT INTO "audit" VALUES(3,'2026-11-23T21:48:12.040857+00:00','ann','add acceptance','acceptance-1');
INSERT INTO "audit" VALUES(4,'2026-11-23T21:48:12.044777+00:00','eve','x','y');
INSERT INTO "audit" VALUES(5,'2026-11-23T21:48:12.049051+00:00','bob','run failed','experiment-1');
INSERT INTO "audit" VALUES(6,'2026-11-23T21:48:12.052633+00:00','bob','start run','experiment-2');
CREATE TABLE records (
	sequence INTEGER NOT NULL,
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	parent TEXT,
	run TEXT,
	actor TEXT NOT NULL,
	at TEXT NOT NULL,
	zone TEXT NOT NULL,
	revision TEXT NOT NULL,
	body TEXT NOT NULL,
	PRIMARY KEY (sequence),
	CONSTRAINT kind_known CHECK (kind IN ('dataset', 'prepared', 'candidate', 'review', 'model', 'acceptance', 'bento', 'deployment', 'report')),
	CONSTRAINT chain_starts_at_dataset CHECK ((parent IS NULL) = (kind = 'dataset')),
	UNIQUE (id),
	FOREIGN KEY(parent) REFERENCES records (id),
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "records" VALUES(1,'dataset-1','dataset',NULL,NULL,'ann','2026-11-01T10:00:00.000000+00:00','local','r1','{"name": "people", "source": "people.csv", "digest": "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd", "rows": 3, "columns": {"age": "Float64"}, "owner": "Department \u00c9", "purpose": "test"}');
INSERT INTO "records" VALUES(2,'acceptance-1','acceptance','dataset-1','experiment-1','ann','2026-11-01T11:00:00.000000+00:00','local','r1','{"reason": "it''s fine; 100 %"}');
CREATE TABLE runs (
	id TEXT NOT NULL,
	flow TEXT NOT NULL,
	state TEXT NOT NULL,
	actor TEXT NOT NULL,
	started TEXT NOT NULL,
	finished TEXT,
	host TEXT NOT NULL,
	process INTEGER NOT NULL,
	process_started TEXT NOT NULL,
	reason TEXT,
	PRIMARY KEY (id),
	CONSTRAINT state_known CHECK (state IN ('running', 'succeeded', 'failed')),
	CONSTRAINT finished_when_ended CHECK ((state = 'running') = (finished IS NULL))
);
INSERT INTO "runs" VALUES('experiment-1','experiment','failed','bob','2026-11-23T21:48:12.036813+00:00','2026-11-23T21:48:12.048281+00:00','elsewhere',4242,'0.00','too few rows');
INSERT INTO "runs" VALUES('experiment-2','experiment','running','bob','2026-11-23T21:48:12.052441+00:00',NULL,'elsewhere',4242,'0.00',NULL);
CREATE TRIGGER runs_delete_refused BEFORE DELETE ON runs WHEN TRUE BEGIN SELECT RAISE(ABORT, 'runs are kept'); END;
CREATE TRIGGER runs_update_refused BEFORE UPDATE ON runs WHEN OLD.state <> 'running' AND NEW.state <> 'running' BEGIN SELECT RAISE(ABORT, 'a run ends once'); END;
CREATE TRIGGER audit_update_refused BEFORE UPDATE ON audit WHEN TRUE BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE TRIGGER audit_delete_refused BEFORE DELETE ON audit WHEN TRUE BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END;
CREATE INDEX records_by_parent ON records (parent);
CREATE INDEX records_by_run ON records (run);
CREATE TRIGGER records_update_refused BEFORE UPDATE ON records WHEN TRUE BEGIN SELECT RAISE(ABORT, 'records is append-only'); END;
CREATE TRIGGER records_delete_refused BEFORE DELETE ON records WHEN TRUE BEGIN SELECT RAISE(ABORT, 'records is append-only'); END;
COMMIT;
