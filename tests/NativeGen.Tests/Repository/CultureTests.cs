// The suite must pass in any culture. CI runs parts of it again without ICU and in Turkish, whose "I" has another small letter and whose
// decimal point is a comma: this shows that those runs are what they say.
using System.Globalization;

namespace NativeGen.Tests.Repository;

public sealed class CultureTests
{
    [Fact]
    public void CultureIsWhatTheEnvironmentAsksFor()
    {
        if (Environment.GetEnvironmentVariable("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT") is "1" or "true")
        {
            Assert.Equal("", CultureInfo.CurrentCulture.Name);
            Assert.Throws<CultureNotFoundException>(() => CultureInfo.GetCultureInfo("tr-TR"));
            return;
        }

        Assert.SkipUnless(Environment.GetEnvironmentVariable("LC_ALL") == "tr_TR.UTF-8", "set LC_ALL=tr_TR.UTF-8 or DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1");
        Assert.Equal("tr-TR", CultureInfo.CurrentCulture.Name);
        Assert.Equal("\u0131", "I".ToLower(CultureInfo.CurrentCulture));
        Assert.Equal("1,5", 1.5.ToString(CultureInfo.CurrentCulture));
    }
}
