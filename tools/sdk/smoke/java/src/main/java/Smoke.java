import bjr.client.ApiClient;
import bjr.client.ApiException;
import bjr.client.api.AuthenticationApi;
import bjr.client.api.FoldersApi;
import bjr.client.api.JobRunsApi;
import bjr.client.api.JobServerApi;
import bjr.client.api.JobsApi;
import bjr.client.api.StaticApi;
import bjr.client.model.AuthIn;
import bjr.client.model.JobIn;
import bjr.client.model.JobPatchIn;
import bjr.client.model.SingleJobRun;
import java.util.List;

/** What a program does with the generated client: the steps are the same in every language here. */
public class Smoke {
  private static final ApiClient client = new ApiClient().setBasePath(System.getenv("BJR_URL"));
  private static final JobsApi jobs = new JobsApi(client);

  public static void main(String[] args) throws Exception {
    var signedIn = new AuthenticationApi(client).authenticateUser(new AuthIn().username("admin").password("password1234"));
    check(!signedIn.getIsError() && signedIn.getUserId() != null, signedIn);
    client.setApiKey(signedIn.getAuthToken());
    System.out.println("  signed in");

    var input = new JobIn().name("from java").command("echo hi; echo oops >&2").cron("0 3 * * *").timezone("UTC").tags("sdk,java");
    var job = jobs.createJob(input, null).getObject();
    check(job.getId() > 0 && job.getEnabled() && job.getTags().equals(List.of("java", "sdk")), job);
    check(job.getCreatedAt() != null && job.getAvgRunDuration() == null, job);
    check(jobs.getJobs("tag:java", null, null, null).getObject().size() == 1, "list");
    check(!jobs.patchJob(job.getId(), new JobPatchIn().enabled(false), null).getObject().getEnabled(), "patched");
    check(jobs.getJob(job.getId()).getObject().getCron().equals("0 3 * * *"), "read");
    System.out.println("  created, listed, changed and read a job");

    check(!jobs.runJobNow(job.getId(), null).getIsError(), "run now");
    var run = finishedRun(job.getId());
    check(run.getSuccess() && run.getReturnCode() == 0, run);
    check(run.getStdout().equals("hi\n") && run.getStderr().equals("oops\n"), run);
    check(new JobRunsApi(client).getJobRun(run.getId(), null).getObject().getId().equals(run.getId()), "one run");
    System.out.println("  ran it and read its run");

    var folders = new FoldersApi(client);
    var folder = folders.createFolder("java", "tag:java", null).getObject();
    check(folder.getJobCount() == 1 && folders.getFolderJobs(folder.getId(), null, null).getObject().size() == 1, folder);
    folders.deleteFolder(folder.getId());
    var fixed = new StaticApi(client);
    check(!fixed.getTags(null, null).getObject().isEmpty() && !fixed.getTimezones().getObject().isEmpty(), "tags, time zones");
    var server = new JobServerApi(client);
    check(!server.recentJobs(null).getObject().isEmpty() && server.upcomingJobs(null).getObject() != null, "jobs");
    check(server.statsByMinute(null, null, null, null, null).getObject() != null, "statistics");
    check(!server.getBusyThreadCount().getIsError(), "busy threads");
    System.out.println("  read folders, tags, time zones and statistics");

    refused(404, () -> jobs.getJob(999_999));
    refused(422, () -> jobs.createJob(input, null));
    check(jobs.deleteJob(job.getId(), null).getObject().getId().equals(job.getId()), "deleted");
    System.out.println("  understood refusals, deleted the job");
    // The client's idle connections would keep the virtual machine up for minutes.
    System.exit(0);
  }

  private static SingleJobRun finishedRun(int jobId) throws Exception {
    for (int tries = 0; tries < 200; tries++) {
      for (var run : jobs.getJobRuns(jobId, null, null, null, null, null, null).getObject()) {
        if (run.getReturnCode() != null) return run;
      }
      Thread.sleep(100);
    }
    throw new AssertionError("the run did not end");
  }

  private interface Call {
    void make() throws ApiException;
  }

  private static void refused(int status, Call call) {
    try {
      call.make();
    } catch (ApiException error) {
      check(error.getCode() == status && error.getResponseBody().contains("\"is_error\":true"), error);
      return;
    }
    throw new AssertionError("no " + status);
  }

  private static void check(boolean holds, Object what) {
    if (!holds) throw new AssertionError(what);
  }
}
