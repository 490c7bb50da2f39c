"""What a program does with the generated client: the steps are the same in every language here."""

import datetime
import os
import time

import bjr_client
from bjr_client.rest import ApiException

configuration = bjr_client.Configuration(host=os.environ["BJR_URL"])
client = bjr_client.ApiClient(configuration)
signed_in = bjr_client.AuthenticationApi(client).authenticate_user(
    bjr_client.AuthIn(username="admin", password="password1234")
)
assert not signed_in.is_error and signed_in.user_id
configuration.access_token = signed_in.auth_token
configuration.api_key["token"] = signed_in.auth_token
jobs = bjr_client.JobsApi(client)
print("  signed in")

new = bjr_client.JobIn(
    name="from python", command="echo hi; echo oops >&2", cron="0 3 * * *", timezone="Europe/Berlin", tags="sdk,python"
)
job = jobs.create_job(new).object
assert job.id > 0 and job.enabled and job.tags == ["python", "sdk"], job
assert isinstance(job.created_at, datetime.datetime) and job.avg_run_duration is None, job
assert "from python" in [one.name for one in jobs.get_jobs(expression="tag:python").object]
assert jobs.patch_job(job.id, bjr_client.JobPatchIn(enabled=False)).object.enabled is False
assert jobs.get_job(job.id).object.cron == "0 3 * * *"
print("  created, listed, changed and read a job")

assert not jobs.run_job_now(job.id).is_error
for _ in range(200):
    runs = [run for run in jobs.get_job_runs(job.id).object if run.return_code is not None]
    if runs:
        break
    time.sleep(0.1)
(run,) = runs
assert run.success and run.return_code == 0 and run.stdout == "hi\n" and run.stderr == "oops\n", run
assert bjr_client.JobRunsApi(client).get_job_run(run.id).object.id == run.id
assert jobs.get_job(job.id).object.avg_run_duration is not None
print("  ran it and read its run")

folders = bjr_client.FoldersApi(client)
folder = folders.create_folder(name="python", expression="tag:python").object
assert folder.job_count == 1 and len(folders.get_folder_jobs(folder.id).object) == 1
assert folders.delete_folder(folder.id).object.id == folder.id
static = bjr_client.StaticApi(client)
assert "python" in [tag.name for tag in static.get_tags().object] and static.get_timezones().object
server = bjr_client.JobServerApi(client)
assert server.recent_jobs().object and server.upcoming_jobs().object is not None
assert server.stats_by_minute().object is not None and not server.get_busy_thread_count().is_error
print("  read folders, tags, time zones and statistics")

for status, call in [(404, lambda: jobs.get_job(999_999)), (422, lambda: jobs.create_job(new))]:
    try:
        call()
        raise AssertionError(f"no {status}")
    except ApiException as error:
        assert error.status == status and error.data.is_error and error.data.message, error
assert jobs.delete_job(job.id).object.id == job.id
print("  understood refusals, deleted the job")
