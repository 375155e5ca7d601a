// The schema goldens through the code of `nativegen verify`.
using NativeGen.Cli.Verify;
using NativeGen.Tests.Parity;

namespace NativeGen.Tests.Constraints.Schema;

public sealed class SchemaParityTests
{
    [Theory]
    [InlineData("schema_suite.json")]
    [InlineData("schema_llamacpp.json")]
    [InlineData("schema_real.json")]
    [InlineData("schema_errors.json")]
    public void Goldens(string file)
    {
        FileReport report = Verified.Check(TestData.Shared("fixtures", "grammar", file));
        Assert.Equal(report.Cases.Count, report.Count(Outcome.Passed));
        TestContext.Current.TestOutputHelper?.WriteLine($"{file}: {report.Count(Outcome.Passed)} / {report.Cases.Count}; {report.Note}");
    }
}
