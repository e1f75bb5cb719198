// The life of log backup on the Go SDK: a line of JSON for each operation; exit 1 where one is not as expected.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	css "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/css/v1"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/css/v1/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/css/v1/region"
)

const (
	sdk       = "github.com/huaweicloud/huaweicloud-sdk-go-v3"
	unknown   = "5c77b71c-5b35-4f50-8984-76387e42451a"
	agency    = "css_obs_agency"
	bucket    = "logs"
	period    = "01:00 GMT+08:00"
	backupMax = 60 * time.Second
)

var (
	project = os.Getenv("CONFORMANCE_PROJECT_ID")
	cluster = os.Getenv("CONFORMANCE_CLUSTER_ID")
	secret  = os.Getenv("CLOUD_SDK_SK")
	client  *css.CssClient
)

type line struct {
	Client    string `json:"client"`
	Version   string `json:"version"`
	Operation string `json:"operation"`
	Ok        bool   `json:"ok"`
	Detail    string `json:"detail"`
}

type operation struct {
	name string
	call func() (string, error)
}

var operations = []operation{
	{"list clusters", listClusters},
	{"show cluster", showCluster},
	{"open", func() (string, error) { return open(agency, bucket, cluster) }},
	{"show setting", showSetting},
	{"update setting", updateSetting},
	{"start policy", func() (string, error) { return startPolicy(period) }},
	{"setting shows the period", func() (string, error) { return showPeriod(true, period) }},
	{"stop policy", stopPolicy},
	{"collect", collect},
	{"collect while one runs", refused(collect, 409, "CSS.3004")},
	{"list from RUNNING to SUCCESS", listUntilSuccess},
	{"list page by page, past the end", pageThrough},
	{"unknown cluster", refused(func() (string, error) { return open(agency, bucket, unknown) }, 403, "CSS.0015")},
	{"unknown bucket", refused(func() (string, error) { return open(agency, "no-such-bucket", cluster) }, 400, "CSS.0048")},
	{"bad agency", refused(func() (string, error) { return open("not an agency!", bucket, cluster) }, 400, "CSS.5130")},
	{"bad period", refused(func() (string, error) { return startPolicy("25:00 GMT+08:00") }, 400, "CSS.5020")},
	{"close", closeBackup},
	{"close what is closed", refused(stopLogs, 415, "CSS.0004")},
	{"wrong secret", refused(func() (string, error) { return listWith("wrong", project) }, 401, "APIGW.0301")},
	{"project by the region's name", func() (string, error) { return listWith(secret, "") }},
}

func main() {
	version, failed := sdkVersion(), false
	var unusable error
	client, unusable = clientWith(secret, project)
	for _, each := range operations {
		detail, err := "", unusable
		if err == nil {
			detail, err = carryOut(each)
		}
		if err != nil {
			failed = true
			detail = err.Error()
		}
		text, _ := json.Marshal(line{"go", version, each.name, err == nil, detail})
		fmt.Println(string(text))
	}
	if failed {
		os.Exit(1)
	}
}

// The SDK's optional members are pointers: what an answer leaves out ends here as a sentence.
func carryOut(each operation) (detail string, err error) {
	defer func() {
		if missing := recover(); missing != nil {
			err = fmt.Errorf("%v", missing)
		}
	}()
	return each.call()
}

// As the sample does; without a project the SDK asks for the one that bears the region's name. The variable for the IAM
// endpoint takes https only in this SDK, the builder takes both.
func clientWith(secret string, project string) (*css.CssClient, error) {
	credentials, err := basic.NewCredentialsBuilder().
		WithAk(os.Getenv("CLOUD_SDK_AK")).
		WithSk(secret).
		WithProjectId(project).
		WithIamEndpointOverride(os.Getenv("HUAWEICLOUD_SDK_IAM_ENDPOINT")).
		SafeBuild()
	if err != nil {
		return nil, err
	}
	where, err := region.SafeValueOf("cn-north-4")
	if err != nil {
		return nil, err
	}
	http, err := css.CssClientBuilder().
		WithHttpConfig(config.DefaultHttpConfig().WithTimeout(20 * time.Second)).
		WithRegion(where).
		WithCredential(credentials).
		SafeBuild()
	if err != nil {
		return nil, err
	}
	return css.NewCssClient(http), nil
}

func listClusters() (string, error) {
	first, limit := int32(1), int32(100)
	found, err := client.ListClustersDetails(&model.ListClustersDetailsRequest{Offset: &first, Limit: &limit})
	if err != nil {
		return "", err
	}
	present := false
	for _, each := range *found.Clusters {
		present = present || *each.Id == cluster
	}
	shown := fmt.Sprintf("%d of %d", len(*found.Clusters), *found.TotalSize)
	return expect(present && len(*found.Clusters) == int(*found.TotalSize), shown)
}

func showCluster() (string, error) {
	found, err := client.ShowClusterDetail(&model.ShowClusterDetailRequest{ClusterId: cluster})
	if err != nil {
		return "", err
	}
	return expect(*found.Id == cluster && len(*found.Instances) == 1, *found.Name+" "+*found.Status)
}

func open(agency string, bucket string, cluster string) (string, error) {
	path := "css/log"
	body := &model.StartLogsReq{Agency: &agency, LogBasePath: &path, LogBucket: &bucket}
	answer, err := client.StartLogs(&model.StartLogsRequest{ClusterId: cluster, Body: body})
	if err != nil {
		return "", err
	}
	return strconv.Itoa(answer.HttpStatusCode), nil
}

func setting() (*model.LogConfiguration, error) {
	found, err := client.ShowGetLogSetting(&model.ShowGetLogSettingRequest{ClusterId: cluster})
	if err != nil {
		return nil, err
	}
	if found.LogConfiguration == nil {
		return nil, errors.New("there is no logConfiguration")
	}
	return found.LogConfiguration, nil
}

func showSetting() (string, error) {
	found, err := setting()
	if err != nil {
		return "", err
	}
	shown := fmt.Sprintln(*found.LogSwitch, *found.Agency, *found.ObsBucket, *found.BasePath, *found.AutoEnable, found.Period)
	return expect(shown == fmt.Sprintln(true, agency, bucket, "css/log", false, (*string)(nil)), strings.TrimSpace(shown))
}

func updateSetting() (string, error) {
	name, path, target := agency, "css/日志", bucket
	body := &model.UpdateLogSettingReq{Agency: &name, LogBasePath: &path, LogBucket: &target}
	if _, err := client.UpdateLogSetting(&model.UpdateLogSettingRequest{ClusterId: cluster, Body: body}); err != nil {
		return "", err
	}
	found, err := setting()
	if err != nil {
		return "", err
	}
	return expect(*found.BasePath == path, *found.BasePath)
}

func startPolicy(period string) (string, error) {
	body := &model.StartLogAutoBackupPolicyReq{Period: period}
	answer, err := client.StartLogAutoBackupPolicy(&model.StartLogAutoBackupPolicyRequest{ClusterId: cluster, Body: body})
	if err != nil {
		return "", err
	}
	return strconv.Itoa(answer.HttpStatusCode), nil
}

func showPeriod(enabled bool, period string) (string, error) {
	found, err := setting()
	if err != nil {
		return "", err
	}
	shown := ""
	if found.Period != nil {
		shown = *found.Period
	}
	return expect(*found.AutoEnable == enabled && shown == period, fmt.Sprintf("%t %q", *found.AutoEnable, shown))
}

func stopPolicy() (string, error) {
	if _, err := client.StopLogAutoBackupPolicy(&model.StopLogAutoBackupPolicyRequest{ClusterId: cluster}); err != nil {
		return "", err
	}
	return showPeriod(false, "")
}

func collect() (string, error) {
	answer, err := client.CreateLogBackup(&model.CreateLogBackupRequest{ClusterId: cluster})
	if err != nil {
		return "", err
	}
	return strconv.Itoa(answer.HttpStatusCode), nil
}

func records(first *int32, limit *int32) ([]model.ClusterLogRecord, error) {
	found, err := client.ListLogsJob(&model.ListLogsJobRequest{ClusterId: cluster, Offset: first, Limit: limit})
	if err != nil {
		return nil, err
	}
	return *found.ClusterLogRecord, nil
}

// Until the newest record is no longer RUNNING; the number of times that it was.
func waitForSuccess() (int, error) {
	running, end := 0, time.Now().Add(backupMax)
	for {
		found, err := records(nil, nil)
		if err != nil {
			return running, err
		}
		if len(found) == 0 {
			return running, errors.New("there is no record")
		}
		newest := found[0]
		if *newest.Status == "RUNNING" && time.Now().Before(end) {
			running++
			time.Sleep(200 * time.Millisecond)
			continue
		}
		if *newest.Status != "SUCCESS" {
			return running, fmt.Errorf("unexpected: %s", newest)
		}
		created, err := strconv.ParseInt(*newest.CreateAt, 10, 64)
		if err == nil && created > *newest.FinishedAt {
			err = fmt.Errorf("unexpected: %s", newest)
		}
		return running, err
	}
}

func listUntilSuccess() (string, error) {
	running, err := waitForSuccess()
	if err != nil {
		return "", err
	}
	return expect(running > 0, fmt.Sprint(running, " times RUNNING, then SUCCESS"))
}

func pageThrough() (string, error) {
	if _, err := collect(); err != nil {
		return "", err
	}
	if _, err := waitForSuccess(); err != nil {
		return "", err
	}
	all, err := records(nil, nil)
	if err != nil {
		return "", err
	}
	var pages []string
	for first := int32(1); first <= 3; first++ {
		start, limit := first, int32(1)
		page, err := records(&start, &limit)
		if err != nil {
			return "", err
		}
		pages = append(pages, jobIds(page))
	}
	shown := strings.Join(pages, " | ")
	return expect(len(all) == 2 && shown == jobIds(all[:1])+" | "+jobIds(all[1:])+" | ", shown)
}

func jobIds(records []model.ClusterLogRecord) string {
	var ids []string
	for _, each := range records {
		ids = append(ids, *each.JobId)
	}
	return strings.Join(ids, ",")
}

func stopLogs() (string, error) {
	answer, err := client.StopLogs(&model.StopLogsRequest{ClusterId: cluster})
	if err != nil {
		return "", err
	}
	return strconv.Itoa(answer.HttpStatusCode), nil
}

func closeBackup() (string, error) {
	if _, err := stopLogs(); err != nil {
		return "", err
	}
	found, err := setting()
	if err != nil {
		return "", err
	}
	return expect(!*found.LogSwitch, fmt.Sprint("logSwitch ", *found.LogSwitch))
}

func listWith(secret string, project string) (string, error) {
	other, err := clientWith(secret, project)
	if err != nil {
		return "", err
	}
	found, err := other.ListLogsJob(&model.ListLogsJobRequest{ClusterId: cluster})
	if err != nil {
		return "", err
	}
	return fmt.Sprint(*found.TotalSize, " records"), nil
}

// Where the SDK returns its error for an answer, with all that a caller needs.
func refused(call func() (string, error), status int, code string) func() (string, error) {
	return func() (string, error) {
		answer, err := call()
		if err == nil {
			return "", fmt.Errorf("not refused: %s", answer)
		}
		var told *sdkerr.ServiceResponseError
		if !errors.As(err, &told) {
			return "", err
		}
		shown := fmt.Sprintf("%d %s %s (%s)", told.StatusCode, told.ErrorCode, told.ErrorMessage, told.RequestId)
		asTold := told.StatusCode == status && told.ErrorCode == code
		return expect(asTold && told.ErrorMessage != "" && told.RequestId != "", shown)
	}
}

func expect(isTrue bool, found string) (string, error) {
	if !isTrue {
		return "", fmt.Errorf("unexpected: %s", found)
	}
	return found, nil
}

func sdkVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, each := range info.Deps {
			if each.Path == sdk {
				return each.Version
			}
		}
	}
	return "unknown"
}
