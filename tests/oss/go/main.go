// Walks through what a user of the Go SDK does, with its CRC64 checks on, and ends with 1 at the first surprise.
//
//	oss-go-v2 ENDPOINT REGION v1|v4 BUCKET KMS_KEY_ID      (credential: OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET)
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss/credentials"
)

const partSize = 100 * 1024

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("as expected")
}

func run(ctx context.Context, endpoint, region, version, bucket, keyID string) error {
	signature := map[string]oss.SignatureVersionType{"v1": oss.SignatureVersionV1, "v4": oss.SignatureVersionV4}[version]
	client := oss.NewClient(oss.LoadDefaultConfig().
		WithCredentialsProvider(credentials.NewEnvironmentVariableCredentialsProvider()).
		WithEndpoint(endpoint).WithRegion(region).WithSignatureVersion(signature).WithRetryMaxAttempts(1))

	if _, err := client.PutBucket(ctx, &oss.PutBucketRequest{Bucket: &bucket}); err != nil {
		return fmt.Errorf("put bucket: %w", err)
	}
	if found, err := client.IsBucketExist(ctx, bucket); err != nil || !found {
		return fmt.Errorf("bucket exists: %v %w", found, err)
	}
	for _, step := range []func(context.Context, *oss.Client, string, string) error{
		objects, defaults, multipart, appends, files, presigned, errorsOf,
	} {
		if err := step(ctx, client, bucket, keyID); err != nil {
			return err
		}
	}
	return nil
}

func random(length int) []byte {
	data := make([]byte, length)
	_, _ = rand.Read(data)
	return data
}

// want reads an object whole and holds it to what was written and how it was encrypted.
func want(ctx context.Context, client *oss.Client, bucket, key string, data []byte, sse string) error {
	got, err := client.GetObject(ctx, &oss.GetObjectRequest{Bucket: &bucket, Key: &key})
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	defer got.Body.Close()
	read, err := io.ReadAll(got.Body)
	if err != nil || !bytes.Equal(read, data) {
		return fmt.Errorf("%s: %d of %d bytes, or other ones: %w", key, len(read), len(data), err)
	}
	if oss.ToString(got.ServerSideEncryption) != sse || got.HashCRC64 == nil {
		return fmt.Errorf("%s: encryption %q, CRC64 %v", key, oss.ToString(got.ServerSideEncryption), got.HashCRC64)
	}
	return nil
}

func objects(ctx context.Context, client *oss.Client, bucket, keyID string) error {
	for sse, id := range map[string]*string{"AES256": nil, "SM4": nil, "KMS": oss.Ptr(keyID)} {
		key, data := "dir/a b+é中 "+sse, random(70_001)
		put, err := client.PutObject(ctx, &oss.PutObjectRequest{
			Bucket: &bucket, Key: &key, Body: bytes.NewReader(data), ServerSideEncryption: oss.Ptr(sse), ServerSideEncryptionKeyId: id,
		})
		if err != nil || put.HashCRC64 == nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		if err := want(ctx, client, bucket, key, data, sse); err != nil {
			return err
		}
		head, err := client.HeadObject(ctx, &oss.HeadObjectRequest{Bucket: &bucket, Key: &key})
		if err != nil || head.ContentLength != int64(len(data)) || oss.ToString(head.ServerSideEncryptionKeyId) != oss.ToString(id) {
			return fmt.Errorf("head %s: %+v %w", key, head, err)
		}
		ranged, err := client.GetObject(ctx, &oss.GetObjectRequest{Bucket: &bucket, Key: &key, Range: oss.Ptr("bytes=65530-65545")})
		if err != nil {
			return fmt.Errorf("range of %s: %w", key, err)
		}
		part, err := io.ReadAll(ranged.Body)
		if err != nil || !bytes.Equal(part, data[65530:65546]) {
			return fmt.Errorf("range of %s: %d bytes %w", key, len(part), err)
		}
		copied := key + " copy"
		if _, err := client.CopyObject(ctx, &oss.CopyObjectRequest{
			Bucket: &bucket, Key: &copied, SourceKey: &key, ServerSideEncryption: oss.Ptr("AES256"),
		}); err != nil {
			return fmt.Errorf("copy of %s: %w", key, err)
		}
		if err := want(ctx, client, bucket, copied, data, "AES256"); err != nil {
			return err
		}
	}
	var keys []string
	for pages := client.NewListObjectsV2Paginator(&oss.ListObjectsV2Request{Bucket: &bucket, MaxKeys: 4}); pages.HasNext(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list: %w", err)
		}
		for _, row := range page.Contents {
			keys = append(keys, *row.Key)
		}
	}
	if len(keys) != 6 || keys[0] != "dir/a b+é中 AES256" {
		return fmt.Errorf("listed %q", keys)
	}
	return nil
}

func defaults(ctx context.Context, client *oss.Client, bucket, keyID string) error {
	if _, err := client.GetBucketEncryption(ctx, &oss.GetBucketEncryptionRequest{Bucket: &bucket}); code(err) != "NoSuchServerSideEncryptionRule" {
		return fmt.Errorf("no rule yet: %w", err)
	}
	rule := &oss.ApplyServerSideEncryptionByDefault{SSEAlgorithm: oss.Ptr("KMS"), KMSMasterKeyID: oss.Ptr(keyID), KMSDataEncryption: oss.Ptr("SM4")}
	if _, err := client.PutBucketEncryption(ctx, &oss.PutBucketEncryptionRequest{
		Bucket: &bucket, ServerSideEncryptionRule: &oss.ServerSideEncryptionRule{ApplyServerSideEncryptionByDefault: rule},
	}); err != nil {
		return fmt.Errorf("put bucket encryption: %w", err)
	}
	got, err := client.GetBucketEncryption(ctx, &oss.GetBucketEncryptionRequest{Bucket: &bucket})
	if err != nil {
		return fmt.Errorf("get bucket encryption: %w", err)
	}
	if said := got.ServerSideEncryptionRule.ApplyServerSideEncryptionByDefault; oss.ToString(said.SSEAlgorithm) != "KMS" ||
		oss.ToString(said.KMSMasterKeyID) != keyID || oss.ToString(said.KMSDataEncryption) != "SM4" {
		return fmt.Errorf("bucket encryption is %+v", said)
	}
	key, data := "by default", random(1000)
	if _, err := client.PutObject(ctx, &oss.PutObjectRequest{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)}); err != nil {
		return fmt.Errorf("put by default: %w", err)
	}
	if err := want(ctx, client, bucket, key, data, "KMS"); err != nil {
		return err
	}
	_, err = client.DeleteBucketEncryption(ctx, &oss.DeleteBucketEncryptionRequest{Bucket: &bucket})
	return err
}

func multipart(ctx context.Context, client *oss.Client, bucket, keyID string) error {
	key, data := "parts", random(3*partSize+17)
	made, err := client.InitiateMultipartUpload(ctx, &oss.InitiateMultipartUploadRequest{
		Bucket: &bucket, Key: &key, ServerSideEncryption: oss.Ptr("KMS"), ServerSideEncryptionKeyId: oss.Ptr(keyID),
	})
	if err != nil {
		return fmt.Errorf("initiate: %w", err)
	}
	for number := 0; number*partSize < len(data); number++ {
		piece := data[number*partSize : min(len(data), (number+1)*partSize)]
		if _, err := client.UploadPart(ctx, &oss.UploadPartRequest{
			Bucket: &bucket, Key: &key, UploadId: made.UploadId, PartNumber: int32(number + 1), Body: bytes.NewReader(piece),
		}); err != nil {
			return fmt.Errorf("part %d: %w", number+1, err)
		}
	}
	if _, err := client.CompleteMultipartUpload(ctx, &oss.CompleteMultipartUploadRequest{
		Bucket: &bucket, Key: &key, UploadId: made.UploadId, CompleteAll: oss.Ptr("yes"),
	}); err != nil {
		return fmt.Errorf("complete all: %w", err)
	}
	return want(ctx, client, bucket, key, data, "KMS")
}

func appends(ctx context.Context, client *oss.Client, bucket, _ string) error {
	key, data := "log", random(200_000)
	file, err := client.AppendFile(ctx, bucket, key, func(options *oss.AppendOptions) {
		options.CreateParameter = &oss.AppendObjectRequest{ServerSideEncryption: oss.Ptr("AES256")}
	})
	if err != nil {
		return fmt.Errorf("append file: %w", err)
	}
	for at := 0; at < len(data); at += 70_000 {
		if _, err := file.Write(data[at:min(len(data), at+70_000)]); err != nil {
			return fmt.Errorf("append at %d: %w", at, err)
		}
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return want(ctx, client, bucket, key, data, "AES256")
}

// The transfer manager: parts in parallel up, ranges in parallel down, CRC64 of the whole combined from theirs.
func files(ctx context.Context, client *oss.Client, bucket, keyID string) error {
	directory, err := os.MkdirTemp("", "oss-go-v2")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	from, to, data := filepath.Join(directory, "from"), filepath.Join(directory, "to"), random(7*partSize+1)
	if err := os.WriteFile(from, data, 0o600); err != nil {
		return err
	}
	request := &oss.PutObjectRequest{Bucket: &bucket, Key: oss.Ptr("file"), ServerSideEncryption: oss.Ptr("KMS"), ServerSideEncryptionKeyId: oss.Ptr(keyID)}
	if _, err := client.NewUploader(func(options *oss.UploaderOptions) { options.PartSize = partSize }).UploadFile(ctx, request, from); err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	if _, err := client.NewDownloader(func(options *oss.DownloaderOptions) { options.PartSize = partSize }).
		DownloadFile(ctx, &oss.GetObjectRequest{Bucket: &bucket, Key: oss.Ptr("file")}, to); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	if read, err := os.ReadFile(to); err != nil || !bytes.Equal(read, data) {
		return fmt.Errorf("downloaded %d of %d bytes, or other ones: %w", len(read), len(data), err)
	}
	return want(ctx, client, bucket, "file", data, "KMS")
}

func presigned(ctx context.Context, client *oss.Client, bucket, keyID string) error {
	data := "by URL"
	put, err := client.Presign(ctx, &oss.PutObjectRequest{
		Bucket: &bucket, Key: oss.Ptr("url"), ServerSideEncryption: oss.Ptr("KMS"), ServerSideEncryptionKeyId: oss.Ptr(keyID),
	}, oss.PresignExpires(time.Minute))
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, put.Method, put.URL, strings.NewReader(data))
	if err != nil {
		return err
	}
	for name, value := range put.SignedHeaders {
		request.Header.Set(name, value)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("presigned put: %s %s", answer.Status, text)
	}
	return want(ctx, client, bucket, "url", []byte(data), "KMS")
}

func errorsOf(ctx context.Context, client *oss.Client, bucket, _ string) error {
	if _, err := client.HeadObject(ctx, &oss.HeadObjectRequest{Bucket: &bucket, Key: oss.Ptr("absent")}); code(err) != "NoSuchKey" {
		return fmt.Errorf("head of nothing: %w", err)
	}
	if found, err := client.IsObjectExist(ctx, bucket, "absent"); err != nil || found {
		return fmt.Errorf("object exists: %v %w", found, err)
	}
	if found, err := client.IsBucketExist(ctx, bucket+"-absent"); err != nil || found {
		return fmt.Errorf("bucket exists: %v %w", found, err)
	}
	_, err := client.PutObject(ctx, &oss.PutObjectRequest{
		Bucket: &bucket, Key: oss.Ptr("k"), Body: strings.NewReader("x"), ServerSideEncryption: oss.Ptr("DES"),
	})
	if code(err) != "InvalidEncryptionAlgorithmError" {
		return fmt.Errorf("DES: %w", err)
	}
	return nil
}

func code(err error) string {
	var service *oss.ServiceError
	if errors.As(err, &service) {
		return service.Code
	}
	return ""
}
