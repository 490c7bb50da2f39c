// What a program does with the generated client: the steps are the same in every language here.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	bjr "github.com/bjr/client-go"
)

func must[T any](value T, _ *http.Response, err error) T {
	check(err == nil, "an answer could not be read", err)
	return value
}

func check(holds bool, what string, values ...any) {
	if !holds {
		log.Fatal(append([]any{what, ": "}, values...)...)
	}
}

func main() {
	configuration := bjr.NewConfiguration()
	configuration.Servers = bjr.ServerConfigurations{{URL: os.Getenv("BJR_URL")}}
	client := bjr.NewAPIClient(configuration)
	ctx := context.Background()
	signedIn := must(client.AuthenticationAPI.AuthenticateUser(ctx).AuthIn(*bjr.NewAuthIn("admin", "password1234")).Execute())
	check(!signedIn.IsError && signedIn.UserId.IsSet(), "sign-in", signedIn)
	ctx = context.WithValue(ctx, bjr.ContextAccessToken, signedIn.AuthToken)
	fmt.Println("  signed in")

	input := bjr.NewJobIn("from go", "0 3 * * *", "echo hi; echo oops >&2")
	input.SetTags("sdk,go")
	input.SetTimezone("Europe/Berlin")
	job := must(client.JobsAPI.CreateJob(ctx).JobIn(*input).Execute()).Object
	check(job.Id > 0 && job.Enabled && len(job.Tags) == 2 && job.AvgRunDuration.Get() == nil, "created", job)
	check(len(must(client.JobsAPI.GetJobs(ctx).Expression("tag:go").Execute()).Object) == 1, "list")
	patch := bjr.NewJobPatchIn()
	patch.SetEnabled(false)
	check(!must(client.JobsAPI.PatchJob(ctx, job.Id).JobPatchIn(*patch).Execute()).Object.Enabled, "patched")
	check(must(client.JobsAPI.GetJob(ctx, job.Id).Execute()).Object.Cron == "0 3 * * *", "read")
	fmt.Println("  created, listed, changed and read a job")

	check(!must(client.JobsAPI.RunJobNow(ctx, job.Id).Execute()).IsError, "run now")
	run := finishedRun(ctx, client, job.Id)
	check(run.GetSuccess() && run.GetReturnCode() == 0, "run", run)
	check(*run.Stdout.Get() == "hi\n" && *run.Stderr.Get() == "oops\n", "output", run)
	check(must(client.JobRunsAPI.GetJobRun(ctx, run.Id).Execute()).Object.Id == run.Id, "one run")
	fmt.Println("  ran it and read its run")

	folder := must(client.FoldersAPI.CreateFolder(ctx).Name("go").Expression("tag:go").Execute()).Object
	check(folder.JobCount == 1, "folder", folder)
	check(len(must(client.FoldersAPI.GetFolderJobs(ctx, folder.Id).Execute()).Object) == 1, "folder's jobs")
	must(client.FoldersAPI.DeleteFolder(ctx, folder.Id).Execute())
	check(len(must(client.StaticAPI.GetTags(ctx).Execute()).Object) > 0, "tags")
	check(len(must(client.StaticAPI.GetTimezones(ctx).Execute()).Object) > 0, "time zones")
	check(len(must(client.JobServerAPI.RecentJobs(ctx).Execute()).Object) > 0, "recent jobs")
	must(client.JobServerAPI.UpcomingJobs(ctx).Execute())
	must(client.JobServerAPI.StatsByMinute(ctx).Execute())
	check(!must(client.JobServerAPI.GetBusyThreadCount(ctx).Execute()).IsError, "busy threads")
	fmt.Println("  read folders, tags, time zones and statistics")

	_, answer, err := client.JobsAPI.GetJob(ctx, 999999).Execute()
	refused(answer, err, http.StatusNotFound)
	_, answer, err = client.JobsAPI.CreateJob(ctx).JobIn(*input).Execute()
	refused(answer, err, http.StatusUnprocessableEntity)
	check(must(client.JobsAPI.DeleteJob(ctx, job.Id).Execute()).Object.Id == job.Id, "deleted")
	fmt.Println("  understood refusals, deleted the job")
}

func finishedRun(ctx context.Context, client *bjr.APIClient, jobID int32) bjr.SingleJobRun {
	for range 200 {
		for _, run := range must(client.JobsAPI.GetJobRuns(ctx, jobID).Execute()).Object {
			if run.HasReturnCode() {
				return run
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	log.Fatal("the run did not end")
	panic("unreachable")
}

func refused(answer *http.Response, err error, status int) {
	var known *bjr.GenericOpenAPIError
	check(errors.As(err, &known) && known.Model() != nil && answer.StatusCode == status, "a refusal was not read", status, err)
}
