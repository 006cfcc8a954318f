// A Go client from generated code: it makes a key, has it validated and refused, and revokes it.
package main

import (
	"context"
	"flag"
	"log"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	latchkey "latchkey.example/gen/latchkey/v1"
)

func connect(address string) *grpc.ClientConn {
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatalf("%s: %v", address, err)
	}
	return connection
}

func must[T any](answer T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

func main() {
	issuanceAddress := flag.String("issuance", "", "where issuance listens")
	validationAddress := flag.String("validation", "", "where validation listens")
	rootKey := flag.String("root-key", "", "the file with root's key text")
	flag.Parse()

	text := must(os.ReadFile(*rootKey))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stranger := ctx
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(text)))

	issuance := connect(*issuanceAddress)
	directory := latchkey.NewDirectoryServiceClient(issuance)
	keys := latchkey.NewIssuanceServiceClient(issuance)
	validation := latchkey.NewValidationServiceClient(connect(*validationAddress))

	must(directory.CreateTenant(ctx, &latchkey.CreateTenantRequest{TenantId: "gopher", Tenant: &latchkey.Tenant{}}))
	keyspace := must(directory.CreateKeyspace(ctx, &latchkey.CreateKeyspaceRequest{
		Parent:     "tenants/gopher",
		KeyspaceId: "orders",
		Keyspace:   &latchkey.Keyspace{Prefix: "gopher", Environment: "production"},
	}))
	made := must(keys.CreateKey(ctx, &latchkey.CreateKeyRequest{
		Parent:      keyspace.GetName(),
		Permissions: []string{"orders:read"},
		Metadata:    map[string]string{"team": "checkout"},
	}))

	expect := func(query string, expected latchkey.Outcome) *latchkey.ValidateKeyResponse {
		answer := must(validation.ValidateKey(ctx, &latchkey.ValidateKeyRequest{
			KeyText:         made.GetKeyText(),
			PermissionQuery: query,
			Consistency: &latchkey.Consistency{Requirement: &latchkey.Consistency_AtLeastAsFresh_{
				AtLeastAsFresh: &latchkey.Consistency_AtLeastAsFresh{Revision: made.GetRevision()},
			}},
		}))
		if answer.GetOutcome() != expected {
			log.Fatalf("%s: expected %v, found %v", query, expected, answer.GetOutcome())
		}
		return answer
	}
	valid := expect("orders:read", latchkey.Outcome_OUTCOME_VALID)
	if valid.GetKey() != made.GetKey().GetName() || valid.GetMetadata()["team"] != "checkout" {
		log.Fatalf("another key: %v", valid)
	}
	expect("orders:write", latchkey.Outcome_OUTCOME_INSUFFICIENT_PERMISSIONS)
	revoked := must(keys.RevokeKey(ctx, &latchkey.RevokeKeyRequest{
		Name:   made.GetKey().GetName(),
		Reason: latchkey.RevocationReason_REVOCATION_REASON_SUPERSEDED,
	}))
	if !revoked.GetImmediate() || len(revoked.GetRegions()) == 0 {
		log.Fatalf("not at once: %v", revoked)
	}
	expect("orders:read", latchkey.Outcome_OUTCOME_REVOKED)

	_, err := keys.CreateKey(stranger, &latchkey.CreateKeyRequest{Parent: keyspace.GetName()})
	refused := status.Convert(err)
	if refused.Code() != codes.Unauthenticated {
		log.Fatalf("a stranger: %v", err)
	}
	for _, detail := range refused.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetReason() == "IDENTITY_MISSING" {
			return
		}
	}
	log.Fatalf("no reason: %v", refused.Details())
}
