package conformance;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.huaweicloud.sdk.core.auth.BasicCredentials;
import com.huaweicloud.sdk.core.exception.ServiceResponseException;
import com.huaweicloud.sdk.core.http.HttpConfig;
import com.huaweicloud.sdk.css.v1.CssClient;
import com.huaweicloud.sdk.css.v1.model.*;
import com.huaweicloud.sdk.css.v1.region.CssRegion;
import java.io.InputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;

/** The life of log backup on the Java SDK: a line of JSON for each operation; exit 1 where one is not as expected. */
public class Lifecycle {
    private static final String PROJECT = System.getenv("CONFORMANCE_PROJECT_ID");
    private static final String CLUSTER = System.getenv("CONFORMANCE_CLUSTER_ID");
    private static final String UNKNOWN = "5c77b71c-5b35-4f50-8984-76387e42451a";
    private static final String AGENCY = "css_obs_agency";
    private static final String BUCKET = "logs";
    private static final String PERIOD = "01:00 GMT+08:00";
    private static final long BACKUP_MS = 60_000;

    private final CssClient client = clientWith(System.getenv("CLOUD_SDK_SK"), PROJECT);

    public static void main(String[] args) throws Exception {
        PrintStream out = new PrintStream(System.out, true, "UTF-8");
        String version = version();
        boolean failed = false;
        for (Map.Entry<String, Callable<String>> operation : new Lifecycle().operations().entrySet()) {
            Map<String, Object> line = new LinkedHashMap<>();
            line.put("client", "java");
            line.put("version", version);
            line.put("operation", operation.getKey());
            try {
                String detail = operation.getValue().call();
                line.put("ok", true);
                line.put("detail", detail);
            } catch (Exception error) {
                failed = true;
                line.put("ok", false);
                line.put("detail", error.toString());
            }
            out.println(new ObjectMapper().writeValueAsString(line));
        }
        System.exit(failed ? 1 : 0); // the SDK's threads would go on for a minute
    }

    private Map<String, Callable<String>> operations() {
        Map<String, Callable<String>> all = new LinkedHashMap<>();
        all.put("list clusters", this::listClusters);
        all.put("show cluster", this::showCluster);
        all.put("open", () -> open(AGENCY, BUCKET, CLUSTER));
        all.put("show setting", this::showSetting);
        all.put("update setting", this::updateSetting);
        all.put("start policy", () -> startPolicy(PERIOD));
        all.put("setting shows the period", () -> showPeriod(true, PERIOD));
        all.put("stop policy", this::stopPolicy);
        all.put("collect", this::collect);
        all.put("collect while one runs", () -> refused(this::collect, 409, "CSS.3004"));
        all.put("list from RUNNING to SUCCESS", this::listUntilSuccess);
        all.put("list page by page, past the end", this::pageThrough);
        all.put("unknown cluster", () -> refused(() -> open(AGENCY, BUCKET, UNKNOWN), 403, "CSS.0015"));
        all.put("unknown bucket", () -> refused(() -> open(AGENCY, "no-such-bucket", CLUSTER), 400, "CSS.0048"));
        all.put("bad agency", () -> refused(() -> open("not an agency!", BUCKET, CLUSTER), 400, "CSS.5130"));
        all.put("bad period", () -> refused(() -> startPolicy("25:00 GMT+08:00"), 400, "CSS.5020"));
        all.put("close", this::close);
        all.put("close what is closed", () -> refused(this::stopLogs, 415, "CSS.0004"));
        all.put("wrong secret", () -> refused(() -> listWith("wrong", PROJECT), 401, "APIGW.0301"));
        all.put("project by the region's name", () -> listWith(System.getenv("CLOUD_SDK_SK"), null));
        return all;
    }

    /** As the sample does; without a project the SDK asks for the one that bears the region's name. */
    private static CssClient clientWith(String secret, String project) {
        BasicCredentials credentials = new BasicCredentials().withAk(System.getenv("CLOUD_SDK_AK")).withSk(secret);
        return CssClient.newBuilder()
                .withHttpConfig(HttpConfig.getDefaultHttpConfig().withConnectionTimeout(5).withReadTimeout(20))
                .withCredential(project == null ? credentials : credentials.withProjectId(project))
                .withRegion(CssRegion.valueOf("cn-north-4"))
                .build();
    }

    private String listClusters() {
        ListClustersDetailsResponse found =
                client.listClustersDetails(new ListClustersDetailsRequest().withStart(1).withLimit(100));
        List<String> ids = found.getClusters().stream().map(ClusterList::getId).collect(Collectors.toList());
        return expect(
                ids.contains(CLUSTER) && found.getTotalSize() == ids.size(), ids.size() + " of " + found.getTotalSize());
    }

    private String showCluster() {
        ShowClusterDetailResponse found = client.showClusterDetail(new ShowClusterDetailRequest().withClusterId(CLUSTER));
        return expect(
                CLUSTER.equals(found.getId()) && found.getInstances().size() == 1,
                found.getName() + " " + found.getStatus());
    }

    private String open(String agency, String bucket, String cluster) {
        StartLogsReq body = new StartLogsReq().withAgency(agency).withLogBasePath("css/log").withLogBucket(bucket);
        return "" + client.startLogs(new StartLogsRequest().withClusterId(cluster).withBody(body)).getHttpStatusCode();
    }

    private LogConfiguration setting() {
        return client.showGetLogSetting(new ShowGetLogSettingRequest().withClusterId(CLUSTER)).getLogConfiguration();
    }

    private String showSetting() {
        LogConfiguration found = setting();
        List<Object> shown = Arrays.asList(
                found.getLogSwitch(), found.getAgency(), found.getObsBucket(), found.getBasePath(),
                found.getAutoEnable(), found.getPeriod());
        return expect(shown.equals(Arrays.asList(true, AGENCY, BUCKET, "css/log", false, null)), shown);
    }

    private String updateSetting() {
        UpdateLogSettingReq body =
                new UpdateLogSettingReq().withAgency(AGENCY).withLogBasePath("css/日志").withLogBucket(BUCKET);
        client.updateLogSetting(new UpdateLogSettingRequest().withClusterId(CLUSTER).withBody(body));
        String path = setting().getBasePath();
        return expect("css/日志".equals(path), path);
    }

    private String startPolicy(String period) {
        StartLogAutoBackupPolicyReq body = new StartLogAutoBackupPolicyReq().withPeriod(period);
        StartLogAutoBackupPolicyRequest request =
                new StartLogAutoBackupPolicyRequest().withClusterId(CLUSTER).withBody(body);
        return "" + client.startLogAutoBackupPolicy(request).getHttpStatusCode();
    }

    private String showPeriod(boolean enabled, String period) {
        LogConfiguration found = setting();
        List<Object> shown = Arrays.asList(found.getAutoEnable(), found.getPeriod());
        return expect(shown.equals(Arrays.asList(enabled, period)), shown);
    }

    private String stopPolicy() {
        client.stopLogAutoBackupPolicy(new StopLogAutoBackupPolicyRequest().withClusterId(CLUSTER));
        return showPeriod(false, null);
    }

    private String collect() {
        return "" + client.createLogBackup(new CreateLogBackupRequest().withClusterId(CLUSTER)).getHttpStatusCode();
    }

    private List<ClusterLogRecord> records(ListLogsJobRequest request) {
        return client.listLogsJob(request.withClusterId(CLUSTER)).getClusterLogRecord();
    }

    /** Until the newest record is no longer RUNNING; `seen` gets the states it had. */
    private ClusterLogRecord waitForSuccess(List<String> seen) throws InterruptedException {
        long end = System.currentTimeMillis() + BACKUP_MS;
        ClusterLogRecord newest = records(new ListLogsJobRequest()).get(0);
        while ("RUNNING".equals(newest.getStatus()) && System.currentTimeMillis() < end) {
            seen.add(newest.getStatus());
            Thread.sleep(200);
            newest = records(new ListLogsJobRequest()).get(0);
        }
        expect("SUCCESS".equals(newest.getStatus()), newest);
        expect(Long.parseLong(newest.getCreateAt()) <= newest.getFinishedAt(), newest);
        return newest;
    }

    private String listUntilSuccess() throws InterruptedException {
        List<String> seen = new ArrayList<>();
        ClusterLogRecord newest = waitForSuccess(seen);
        return expect(seen.contains("RUNNING"), seen.size() + " times RUNNING, then " + newest.getStatus());
    }

    private String pageThrough() throws InterruptedException {
        collect();
        waitForSuccess(new ArrayList<>());
        List<String> all = jobIds(new ListLogsJobRequest());
        List<List<String>> pages = new ArrayList<>();
        for (int start = 1; start <= 3; start++) {
            pages.add(jobIds(new ListLogsJobRequest().withLimit(1).withStart(start)));
        }
        boolean asExpected = all.size() == 2
                && pages.equals(Arrays.asList(all.subList(0, 1), all.subList(1, 2), new ArrayList<String>()));
        return expect(asExpected, pages);
    }

    private List<String> jobIds(ListLogsJobRequest request) {
        return records(request).stream().map(ClusterLogRecord::getJobId).collect(Collectors.toList());
    }

    private String stopLogs() {
        return "" + client.stopLogs(new StopLogsRequest().withClusterId(CLUSTER)).getHttpStatusCode();
    }

    private String close() {
        stopLogs();
        Boolean logSwitch = setting().getLogSwitch();
        return expect(Boolean.FALSE.equals(logSwitch), "logSwitch " + logSwitch);
    }

    private String listWith(String secret, String project) {
        ListLogsJobRequest request = new ListLogsJobRequest().withClusterId(CLUSTER);
        return clientWith(secret, project).listLogsJob(request).getClusterLogRecord().size() + " records";
    }

    /** Where the SDK throws its exception for an answer, with all that a caller needs. */
    private static String refused(Callable<String> call, int status, String code) throws Exception {
        String answer;
        try {
            answer = call.call();
        } catch (ServiceResponseException error) {
            String found = error.getHttpStatusCode() + " " + error.getErrorCode() + " " + error.getErrorMsg() + " ("
                    + error.getRequestId() + ")";
            boolean asTold = error.getHttpStatusCode() == status && code.equals(error.getErrorCode());
            return expect(asTold && isText(error.getErrorMsg()) && isText(error.getRequestId()), found);
        }
        throw new IllegalStateException("not refused: " + answer);
    }

    private static boolean isText(String value) {
        return value != null && !value.isEmpty();
    }

    private static String expect(boolean isTrue, Object found) {
        if (!isTrue) {
            throw new IllegalStateException("unexpected: " + found);
        }
        return String.valueOf(found);
    }

    private static String version() throws Exception {
        String name = "/META-INF/maven/com.huaweicloud.sdk/huaweicloud-sdk-css/pom.properties";
        Properties properties = new Properties();
        try (InputStream stream = CssClient.class.getResourceAsStream(name)) {
            properties.load(stream);
        }
        return properties.getProperty("version");
    }
}
