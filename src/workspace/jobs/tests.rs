use std::fs;

use jiff::{SignedDuration, Timestamp};

use super::*;

fn workspace() -> (tempfile::TempDir, Workspace) {
    let folder = tempfile::tempdir().unwrap();
    let workspace = Workspace::create(folder.path()).unwrap();
    (folder, workspace)
}

fn at(days: i64) -> Timestamp {
    "2026-11-21T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * days)
}

fn begin(workspace: &Workspace, days: i64) -> (Job, File) {
    workspace.begin_job(&Name::new("shop").unwrap(), Task::Create { note: None }, None, at(days)).unwrap()
}

fn finish(workspace: &Workspace, days: i64) -> Job {
    let (job, _lock) = begin(workspace, days);
    let job = Job { state: JobState::Completed, finished_at: Some(at(days)), ..job };
    workspace.write_job(&job).unwrap();
    job
}

#[test]
fn a_job_lives_as_long_as_its_lock() {
    let (_folder, workspace) = workspace();
    let (job, lock) = begin(&workspace, 0);
    assert_eq!(workspace.job(&job.id).unwrap(), job);
    let running = Job { state: JobState::InProgress, ..job.clone() };
    workspace.write_job(&running).unwrap();
    let progress = JobProgress { phase: "reading".into(), done_bytes: 3, total_bytes: 9, moved_bytes: 1 };
    workspace.write_job_progress(&job.id, &progress).unwrap();
    assert_eq!(workspace.jobs().unwrap(), [Job { progress: progress.clone(), ..running.clone() }]);
    fs::write(workspace.job_path(&job.id, "progress"), "").unwrap();
    assert_eq!(workspace.jobs().unwrap(), [running]);
    drop(lock);
    assert_eq!(workspace.job(&job.id).unwrap().state, JobState::Interrupted);
    let done = Job { state: JobState::Completed, ..job };
    workspace.write_job(&done).unwrap();
    assert_eq!(workspace.job(&done.id).unwrap(), done);
}

#[test]
fn lookers_do_not_take_each_other_for_the_job() {
    let (_folder, workspace) = workspace();
    let (job, lock) = begin(&workspace, 0);
    drop(lock);
    let looker = File::open(workspace.job_path(&job.id, "lock")).unwrap();
    looker.try_lock_shared().unwrap();
    assert_eq!(workspace.job(&job.id).unwrap().state, JobState::Interrupted);
}

#[test]
fn a_lock_is_handed_over_or_taken_but_never_shared() {
    let (_folder, workspace) = workspace();
    let (job, lock) = begin(&workspace, 0);
    workspace.lock_job(&job.id, &lock).unwrap();
    let other = File::open("/dev/null").unwrap();
    assert!(matches!(workspace.lock_job(&job.id, &other), Err(WorkspaceError::Busy { .. })));
    drop(lock);
    let taken = workspace.lock_job(&job.id, &other).unwrap();
    assert_eq!(workspace.job(&job.id).unwrap().state, JobState::Pending);
    drop(taken);
    assert_eq!(workspace.job(&job.id).unwrap().state, JobState::Interrupted);
}

#[test]
fn only_ids_of_jobs_are_looked_for() {
    let (_folder, workspace) = workspace();
    fs::create_dir_all(workspace.path("jobs")).unwrap();
    fs::write(workspace.path("jobs/readme.json"), "{}").unwrap();
    for id in ["", "job-", "job-../../config", "job-1", "shop@1", "job-A", &format!("job-{}", "1".repeat(200))] {
        assert!(matches!(workspace.job(id), Err(WorkspaceError::NoJob { .. })), "{id}");
    }
    assert!(workspace.jobs().unwrap().is_empty());
}

#[test]
fn a_job_that_cannot_be_understood_hides_no_other() {
    let (_folder, workspace) = workspace();
    let job = finish(&workspace, 0);
    fs::write(workspace.path("jobs/job-2.json"), "").unwrap();
    assert_eq!(workspace.jobs().unwrap(), [job]);
    let error = workspace.job("job-2").unwrap_err();
    assert!(matches!(&error, WorkspaceError::Config { path, .. } if path.ends_with("jobs/job-2.json")), "{error}");
    workspace.tidy_jobs(at(0)).unwrap();
}

#[test]
fn old_jobs_are_tidied_away_and_running_ones_stay() {
    let (_folder, workspace) = workspace();
    let (running, _lock) = begin(&workspace, 0);
    let old = finish(&workspace, 1);
    workspace.request_job_cancel(&old.id).unwrap();
    drop(workspace.job_log(&old.id).unwrap());
    let young = finish(&workspace, 20);
    workspace.tidy_jobs(at(40)).unwrap();
    let left: Vec<_> = workspace.jobs().unwrap().into_iter().map(|job| job.id).collect();
    assert_eq!(left, [young.id, running.id]);
    let names = fs::read_dir(workspace.path("jobs")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!names.into_iter().any(|name| name.to_str().unwrap().starts_with(&old.id)));
}

#[test]
fn no_more_than_a_thousand_finished_jobs_stay() {
    let (_folder, workspace) = workspace();
    let first = finish(&workspace, 0);
    // Copies of one job, each a second younger than the one before.
    for n in 1..=1001 {
        let id = format!("job-{n}");
        let job = Job { id, created_at: at(0) + SignedDuration::from_secs(n), ..first.clone() };
        fs::write(workspace.job_path(&job.id, "json"), to_json(&job)).unwrap();
    }
    workspace.tidy_jobs(at(1)).unwrap();
    let left = workspace.jobs().unwrap();
    assert_eq!((left.len(), left[0].id.as_str(), left[999].id.as_str()), (1000, "job-1001", "job-2"));
}
